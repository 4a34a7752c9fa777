"""urllib, as pip and many scripts use it."""
import ssl
import sys
import urllib.error
import urllib.request

proxy, http, https, ca = sys.argv[1:]
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({"http": proxy, "https": proxy}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
)
assert opener.open(f"{http}/", timeout=30).read() == b"origin\n"
assert opener.open(f"{https}/", timeout=30).read() == b"origin\n"
assert len(opener.open(f"{http}/chunked/5000", timeout=30).read()) == 5000
assert opener.open(f"{http}/until-close", timeout=30).read() == b"to the end"
try:
    opener.open("https://127.0.0.1:1/", timeout=30)
    raise SystemExit("a refused tunnel must be an error")
except urllib.error.URLError as error:
    assert "connect-refused" in str(error), error
print("good")
