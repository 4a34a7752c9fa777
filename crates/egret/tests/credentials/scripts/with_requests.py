"""requests with user and password in the proxy's URL, right and wrong, forwarded and through a tunnel."""
import sys

import requests

proxy, http, https, ca = sys.argv[1:]


def session(user):
    one = requests.Session()
    one.trust_env = False
    one.verify = ca
    url = f"http://{user}@{proxy}" if user else f"http://{proxy}"
    one.proxies = {"http": url, "https": url}
    return one


good = session("alice:secret")
for _ in range(3):
    assert good.get(f"{http}/echo", timeout=30).json()["target"] == "/echo"
    assert good.get(f"{https}/echo", timeout=30).json()["target"] == "/echo"
echo = good.get(f"{http}/echo", timeout=30).json()
assert not any(name.lower() == "proxy-authorization" for name, _ in echo["fields"]), echo
for user in [None, "alice:wrong", "mallory:secret"]:
    bad = session(user)
    response = bad.get(f"{http}/echo", timeout=30)
    assert response.status_code == 407, response.status_code
    assert response.headers["Proxy-Authenticate"] == 'Basic realm="egret", charset="UTF-8"'
    try:
        bad.get(f"{https}/echo", timeout=30)
        raise SystemExit("a tunnel without credentials must be an error")
    except requests.exceptions.ProxyError as error:
        assert "407" in str(error), error
print("good")
