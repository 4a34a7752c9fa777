"""GET through the proxy; prints the length of the body."""

import ssl
import sys
import urllib.request

library, proxy, url, ca = sys.argv[1:]
if library == "requests":
    import requests

    print(len(requests.get(url, proxies={"https": proxy}, verify=ca, timeout=30).content))
else:
    handlers = [
        urllib.request.ProxyHandler({"https": proxy}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
    ]
    print(len(urllib.request.build_opener(*handlers).open(url, timeout=30).read()))
