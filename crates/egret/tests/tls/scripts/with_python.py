"""requests, urllib3 and httpx behind a proxy with mutual TLS."""
import ssl
import sys

import httpx
import requests
import urllib3
from requests.adapters import HTTPAdapter

proxy, http, https, proxy_ca, client_pem, origin_ca = sys.argv[1:]
context = ssl.create_default_context(cafile=proxy_ca)
context.load_cert_chain(client_pem)


def check(get, post):
    for origin in (http, https):
        assert get(f"{origin}/") == b"origin\n"
        assert len(get(f"{origin}/chunked/500000")) == 500_000
        assert b'"bytes":1000000' in post(f"{origin}/echo", b"x" * 1_000_000)


manager = urllib3.ProxyManager(proxy, proxy_ssl_context=context, ca_certs=origin_ca, timeout=60)
check(lambda url: manager.request("GET", url).data, lambda url, body: manager.request("POST", url, body=body).data)


class Adapter(HTTPAdapter):
    """requests has no setting for the proxy's certificates, but hands this on to urllib3."""

    def proxy_manager_for(self, proxy, **arguments):
        return super().proxy_manager_for(proxy, proxy_ssl_context=context, **arguments)


with requests.Session() as session:
    session.trust_env = False
    session.proxies, session.verify = {"http": proxy, "https": proxy}, origin_ca
    session.mount("http://", Adapter())
    session.mount("https://", Adapter())
    check(lambda url: session.get(url, timeout=60).content, lambda url, body: session.post(url, data=body, timeout=60).content)

origin_context = ssl.create_default_context(cafile=origin_ca)
with httpx.Client(proxy=httpx.Proxy(proxy, ssl_context=context), verify=origin_context, trust_env=False, timeout=60) as client:
    check(lambda url: client.get(url).content, lambda url, body: client.post(url, content=body).content)

# Without a certificate: an error, and not a way around the proxy.
without = ssl.create_default_context(cafile=proxy_ca)
manager = urllib3.ProxyManager(proxy, proxy_ssl_context=without, ca_certs=origin_ca, timeout=60, retries=False)
try:
    manager.request("GET", f"{https}/")
    raise SystemExit("it must fail")
except urllib3.exceptions.HTTPError:
    pass
print("good")
