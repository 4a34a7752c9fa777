"""httpx."""
import ssl
import sys

import httpx

proxy, http, https, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
with httpx.Client(proxy=proxy, verify=context, trust_env=False, timeout=30) as client:
    assert client.get(f"{http}/echo").json()["target"] == "/echo"
    assert client.get(f"{https}/echo").json()["target"] == "/echo"
    assert client.put(f"{https}/echo", content=b"y" * 1_000_000).json()["bytes"] == 1_000_000
    try:
        client.get("https://127.0.0.1:1/")
        raise SystemExit("a refused tunnel must be an error")
    except httpx.ProxyError as error:
        assert "connect-refused" in str(error), error
print("good")
