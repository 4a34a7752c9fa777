"""requests: keep-alive, bodies of every kind, https through a tunnel, a refusal."""
import sys

import requests

proxy, http, https, ca = sys.argv[1:]
with requests.Session() as session:
    session.trust_env = False
    session.proxies = {"http": proxy, "https": proxy}
    session.verify = ca
    for i in range(3):
        echo = session.get(f"{http}/echo", params={"i": i}, timeout=30).json()
        assert echo["target"] == f"/echo?i={i}", echo
    assert session.post(f"{http}/echo", data=b"x" * 100_000, timeout=30).json()["bytes"] == 100_000
    chunks = (b"chunk" for _ in range(100))
    assert session.post(f"{http}/echo", data=chunks, timeout=30).json()["bytes"] == 500
    assert session.post(f"{https}/echo", json={"a": "b"}, timeout=30).json()["bytes"] == 10
    assert len(session.get(f"{http}/chunked/50000", timeout=30).content) == 50_000
    assert session.head(f"{http}/bytes/10", timeout=30).headers["Content-Length"] == "10"
    with session.get(f"{http}/slow/5/50", stream=True, timeout=30) as response:
        assert b"".join(response.iter_content(7)) == b"slow bytes" * 5
    try:
        session.get("https://127.0.0.1:1/", timeout=30)
        raise SystemExit("a refused tunnel must be an error")
    except requests.exceptions.ProxyError as error:
        assert "connect-refused" in str(error), error
print("good")
