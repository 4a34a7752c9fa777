//! Tokens that are good and tokens that are not, signed here.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header as JwtHeader, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData as _};
use serde_json::{Value, json};

use super::*;

struct Signer {
    key: KeyPair,
    algorithm: Algorithm,
    id: &'static str,
}

impl Signer {
    fn ecdsa(id: &'static str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { key, algorithm: Algorithm::ES256, id }
    }

    fn ed25519(id: &'static str) -> Self {
        Self { key: KeyPair::generate_for(&PKCS_ED25519).unwrap(), algorithm: Algorithm::EdDSA, id }
    }

    fn encoding_key(&self) -> EncodingKey {
        match self.algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(self.key.serialized_der()),
            _ => EncodingKey::from_ed_der(self.key.serialized_der()),
        }
    }

    fn jwk(&self) -> Value {
        let raw = self.key.der_bytes();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.algorithm {
            Algorithm::ES256 => {
                json!({"kty": "EC", "crv": "P-256", "x": text(&raw[1..33]), "y": text(&raw[33..65]), "kid": self.id, "use": "sig"})
            }
            _ => json!({"kty": "OKP", "crv": "Ed25519", "x": text(raw), "kid": self.id}),
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = JwtHeader::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        encode(&header, claims, &self.encoding_key()).unwrap()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({"iss": "https://login.example/", "aud": ["other", "egret"], "sub": "alice", "exp": now() + 600, "nbf": now() - 5})
}

/// Claims with some replaced, or removed where the value is null.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().shift_remove(name).map_or((), drop),
            value => claims[name.as_str()] = value.clone(),
        }
    }
    claims
}

fn tokens(keys: &[Value]) -> Tokens {
    let settings = Settings {
        keys: KeySource::File(json!({"keys": keys}).to_string().into_bytes().into()),
        refresh: Duration::from_secs(600),
        trusted_ca: None,
        issuers: vec!["https://login.example/".to_owned()],
        audiences: vec!["egret".to_owned()],
        clock_skew: Duration::from_secs(30),
        user_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
    };
    Tokens::new(Arc::new(settings)).unwrap()
}

/// A token put together by hand, with a signature of somebody's.
fn assembled(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn accepts_tokens_of_every_kind_of_key() {
    let (ecdsa, ed25519) = (Signer::ecdsa("a"), Signer::ed25519("b"));
    let tokens = tokens(&[ecdsa.jwk(), ed25519.jwk(), json!({"kty": "unheard of"}), json!(1)]);
    for signer in [&ecdsa, &ed25519] {
        let good = tokens.check(&signer.sign(&claims())).unwrap();
        assert_eq!(&*good.user, "alice");
        assert!(
            (600..=631).contains(&good.left.as_secs()),
            "as long as the token, and the clocks' difference"
        );
    }
    let mut header = JwtHeader::new(Algorithm::ES256);
    header.kid = None;
    let unnamed = encode(&header, &claims(), &ecdsa.encoding_key()).unwrap();
    assert!(tokens.check(&unnamed).is_ok(), "a token that names no key is tried with those that fit");
    let account = with(&json!({"sub": "system:serviceaccount:shop:cart"}));
    assert_eq!(&*tokens.check(&ecdsa.sign(&account)).unwrap().user, "system:serviceaccount:shop:cart");
}

#[test]
fn refuses_tokens_whose_claims_are_not_for_us() {
    let signer = Signer::ecdsa("a");
    let tokens = tokens(&[signer.jwk()]);
    for changes in [
        json!({"exp": now() - 31}),
        json!({"exp": Value::Null}),
        json!({"exp": "tomorrow"}),
        json!({"exp": -1}),
        json!({"nbf": now() + 60}),
        json!({"nbf": "yesterday"}),
        json!({"iss": "https://evil.example/"}),
        json!({"iss": Value::Null}),
        json!({"iss": ["https://login.example/", "https://evil.example/"]}),
        json!({"aud": "other"}),
        json!({"aud": []}),
        json!({"aud": Value::Null}),
        json!({"sub": Value::Null}),
        json!({"sub": 7}),
        json!({"sub": ""}),
        json!({"sub": "a\nb"}),
        json!({"sub": "x".repeat(256)}),
    ] {
        let outcome = tokens.check(&signer.sign(&with(&changes)));
        assert!(matches!(outcome, Err(Bad::Claims(_))), "{changes}: {outcome:?}");
    }
    assert!(
        tokens.check(&signer.sign(&with(&json!({"exp": now() - 20, "nbf": now() + 20})))).is_ok(),
        "clocks differ"
    );
}

#[test]
fn refuses_tokens_that_nobody_signed() {
    let signer = Signer::ecdsa("a");
    let tokens = tokens(&[signer.jwk()]);
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        for signature in [&b""[..], b"x"] {
            let token = assembled(&json!({"alg": algorithm, "typ": "JWT", "kid": "a"}), &claims(), signature);
            assert!(matches!(tokens.check(&token), Err(Bad::Forged(_))), "{algorithm}");
        }
    }
    let good = signer.sign(&claims());
    let (rest, _) = good.rsplit_once('.').unwrap();
    for token in [
        format!("{rest}."),
        rest.to_owned(),
        format!("{good}."),
        format!("{good}.x"),
        String::new(),
        "..".into(),
    ] {
        assert!(matches!(tokens.check(&token), Err(Bad::Forged(_))), "{token}");
    }
}

/// The attack of RFC 8725 section 2.1: the public key, which everybody has, taken for an HMAC secret.
#[test]
fn refuses_a_public_key_taken_for_a_secret() {
    let signer = Signer::ecdsa("a");
    let tokens = tokens(&[signer.jwk()]);
    let pem = signer.key.public_key_pem();
    for secret in [pem.as_bytes(), signer.key.der_bytes(), signer.key.subject_public_key_info().as_slice()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = JwtHeader::new(algorithm);
            header.kid = Some("a".to_owned());
            let token = encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
            assert!(matches!(tokens.check(&token), Err(Bad::Forged(_))), "{algorithm:?}");
        }
    }
}

#[test]
fn takes_no_shared_secrets_and_no_private_keys() {
    let signer = Signer::ecdsa("a");
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"});
    assert!(
        Keys::parse(json!({"keys": [secret]}).to_string().as_bytes()).is_err(),
        "no key that could be used"
    );
    let tokens = tokens(&[signer.jwk(), secret]);
    let mut header = JwtHeader::new(Algorithm::HS256);
    header.kid = Some("s".to_owned());
    let token = encode(&header, &claims(), &EncodingKey::from_secret(b"secret")).unwrap();
    assert!(matches!(tokens.check(&token), Err(Bad::Forged(_))));
    let mut private = signer.jwk();
    private["d"] = json!("c2VjcmV0");
    assert!(Keys::parse(json!({"keys": [private]}).to_string().as_bytes()).is_err());
}

#[test]
fn keys_sign_only_what_they_are_for() {
    let signer = Signer::ecdsa("a");
    let changed = |name: &str, value: Value| {
        let mut jwk = signer.jwk();
        jwk[name] = value;
        json!({"keys": [jwk]}).to_string()
    };
    for (name, value) in [
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("alg", json!("RSA-OAEP")),
        ("key_ops", json!(["deriveKey"])),
        ("crv", json!("P-521")),
        ("x", json!("!")),
    ] {
        assert!(Keys::parse(changed(name, value.clone()).as_bytes()).is_err(), "{name}: {value}");
    }
    assert!(Keys::parse(changed("alg", json!("ES256")).as_bytes()).is_ok());
    let other = Signer::ecdsa("a");
    let outcome = tokens(&[signer.jwk()]).check(&other.sign(&claims()));
    assert!(matches!(outcome, Err(Bad::Forged(_))), "of the same name, but another key");
    let stranger = Signer::ecdsa("z");
    assert!(matches!(tokens(&[signer.jwk()]).check(&stranger.sign(&claims())), Err(Bad::Forged(_))));
}

#[test]
fn refuses_extensions_that_it_does_not_know() {
    let signer = Signer::ecdsa("a");
    let mut header = JwtHeader::new(Algorithm::ES256);
    header.kid = Some("a".to_owned());
    header.crit = Some(vec!["exp".to_owned()]);
    let token = encode(&header, &claims(), &signer.encoding_key()).unwrap();
    assert!(matches!(tokens(&[signer.jwk()]).check(&token), Err(Bad::Forged(_))), "RFC 7515 section 4.1.11");
}

#[test]
fn refuses_what_is_no_set_of_keys() {
    let large = format!("{{\"keys\":[], \"x\":\"{}\"}}", "x".repeat(300 * 1024));
    for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[1]}", "not json", &large] {
        assert!(Keys::parse(text.as_bytes()).is_err(), "{}", &text[..text.len().min(40)]);
    }
}
