"""Tokens by PyJWT, good and bad, and the sets of keys to check them by.

make_tokens.py DIRECTORY: writes keys.json (and rotated.json), prints a JSON object of tokens.
"""
import base64
import hashlib
import hmac
import json
import sys
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

directory = Path(sys.argv[1])
now = int(time.time())
claims = {"iss": "https://login.example/", "aud": "egret", "sub": "alice", "exp": now + 600, "iat": now}
keys = {
    "rsa": (rsa.generate_private_key(public_exponent=65537, key_size=2048), jwt.algorithms.RSAAlgorithm),
    "ec": (ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
    "ec384": (ec.generate_private_key(ec.SECP384R1()), jwt.algorithms.ECAlgorithm),
    "ed": (ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm),
    "new": (ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
}


def jwk(name):
    key, algorithm = keys[name]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name}


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(name, algorithm, changes=None, header=None):
    body = {key: value for key, value in {**claims, **(changes or {})}.items() if value is not None}
    return jwt.encode(body, keys[name][0], algorithm=algorithm, headers={"kid": name, **(header or {})})


def by_hand(header, signature=lambda text: b""):
    text = part(json.dumps(header).encode()) + "." + part(json.dumps(claims).encode())
    return text + "." + part(signature(text.encode()))


pem = keys["rsa"][0].public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
tokens = {
    "good": {
        **{name: sign("rsa", name) for name in ("RS256", "RS384", "RS512", "PS256", "PS512")},
        "ES256": sign("ec", "ES256"),
        "ES384": sign("ec384", "ES384"),
        "EdDSA": sign("ed", "EdDSA"),
        "several audiences": sign("ec", "ES256", {"aud": ["other", "egret"]}),
        "almost expired": sign("ec", "ES256", {"exp": now - 5}),
    },
    "bad": {
        "expired": sign("ec", "ES256", {"exp": now - 600}),
        "without an end": sign("ec", "ES256", {"exp": None}),
        "not valid yet": sign("ec", "ES256", {"nbf": now + 600}),
        "of another issuer": sign("ec", "ES256", {"iss": "https://evil.example/"}),
        "without an issuer": sign("ec", "ES256", {"iss": None}),
        "for another audience": sign("ec", "ES256", {"aud": "other"}),
        "without an audience": sign("ec", "ES256", {"aud": None}),
        "without a subject": sign("ec", "ES256", {"sub": None}),
        "with another's name on the key": sign("ec", "ES256", header={"kid": "rsa"}),
        "unsigned": jwt.encode(claims, None, algorithm="none"),
        "unsigned with a key's name": by_hand({"alg": "none", "kid": "rsa"}),
        "unsigned in other letters": by_hand({"alg": "nOnE", "kid": "rsa"}),
        "unsigned but said to be": by_hand({"alg": "RS256", "kid": "rsa"}),
        "signed with the public key as a secret": by_hand(
            {"alg": "HS256", "kid": "rsa"}, lambda text: hmac.new(pem, text, hashlib.sha256).digest()
        ),
        "signed with its own key": by_hand(
            {"alg": "ES256", "jwk": jwk("new")}, lambda text: jwt.algorithms.ECAlgorithm(
                jwt.algorithms.ECAlgorithm.SHA256
            ).sign(text, keys["new"][0])
        ),
        "changed": sign("ec", "ES256").replace(".", ".e", 1),
        "no token": "a.b.c",
        "text": "secret",
    },
    "new": sign("new", "ES256"),
    "groups": {
        "list": sign("ec", "ES256", {"groups": ["staff", "Domain Users", "staff"]}),
        "text": sign("ec", "ES256", {"groups": "staff web"}),
        "nested": sign("ec", "ES256", {"realm_access": {"roles": ["offline_access", "deploy"]}}),
    },
    "short": sign("ec", "ES256", {"exp": now - 25}),
}
(directory / "keys.json").write_text(json.dumps({"keys": [jwk(name) for name in ("rsa", "ec", "ec384", "ed")]}))
(directory / "rotated.json").write_text(json.dumps({"keys": [jwk("new")]}))
print(json.dumps(tokens))
