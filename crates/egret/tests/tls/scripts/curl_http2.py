"""libcurl with HTTP/2 to the proxy (what `curl --proxy-http2` does), and HTTP/1.1 with the same handle."""
import io
import sys

import pycurl

proxy, http, https, proxy_ca, client_pem, origin_ca = sys.argv[1:]
PROXY_HTTPS, PROXY_HTTPS2 = 2, 3  # CURLPROXY_HTTPS, CURLPROXY_HTTPS2


def get(url, kind, tunnel=False, body=None):
    said, answer = [], io.BytesIO()
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROXY, proxy)
    curl.setopt(pycurl.PROXYTYPE, kind)
    curl.setopt(pycurl.PROXY_CAINFO, proxy_ca)
    curl.setopt(pycurl.PROXY_SSLCERT, client_pem)
    curl.setopt(pycurl.PROXY_SSLKEY, client_pem)
    curl.setopt(pycurl.CAINFO, origin_ca)
    curl.setopt(pycurl.HTTPPROXYTUNNEL, int(tunnel))
    curl.setopt(pycurl.TIMEOUT, 60)
    curl.setopt(pycurl.VERBOSE, 1)
    curl.setopt(pycurl.DEBUGFUNCTION, lambda kind, text: kind == 0 and said.append(text.decode(errors="replace")))
    curl.setopt(pycurl.WRITEDATA, answer)
    if body is not None:
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.POSTFIELDSIZE, len(body))
        curl.setopt(pycurl.READDATA, io.BytesIO(body))
    # What is sent and received is no concern of ours, only what curl says of it.
    curl.perform()
    assert curl.getinfo(pycurl.RESPONSE_CODE) == 200, said
    return answer.getvalue(), "".join(said)


for kind, protocol in [(PROXY_HTTPS, "http/1.1"), (PROXY_HTTPS2, "h2")]:
    for url, tunnel in [(f"{https}/", False), (f"{http}/", True), (f"{http}/", False)]:
        answer, said = get(url, kind, tunnel)
        assert answer == b"origin\n", (url, answer)
        if kind == PROXY_HTTPS2 and (tunnel or url.startswith("https")):
            assert "Establishing HTTP/2 proxy tunnel" in said, said
    answer, _ = get(f"{https}/bytes/3000000", kind)
    assert len(answer) == 3_000_000
    answer, _ = get(f"{https}/echo", kind, body=b"x" * 1_000_000)
    assert b'"bytes":1000000' in answer, answer[:200]
print("good")
