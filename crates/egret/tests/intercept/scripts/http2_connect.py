"""GET through a tunnel that was opened with CONNECT over HTTP/2: PROXY URL CA [PROXY_CA CERTIFICATE KEY].

With the last three the proxy is spoken to over mutual TLS. Prints status line and body.
"""

import socket
import ssl
import sys
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events

proxy, url, ca = sys.argv[1], urlsplit(sys.argv[2]), sys.argv[3]
host, port = proxy.rsplit(":", 1)
outer = socket.create_connection((host, int(port)), timeout=20)
if len(sys.argv) > 4:
    context = ssl.create_default_context(cafile=sys.argv[4])
    context.load_cert_chain(sys.argv[5], sys.argv[6])
    context.set_alpn_protocols(["h2"])
    outer = context.wrap_socket(outer, server_hostname="localhost")
    assert outer.selected_alpn_protocol() == "h2"
connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
connection.initiate_connection()
connection.send_headers(1, [(":method", "CONNECT"), (":authority", url.netloc)])
outer.sendall(connection.data_to_send())

received, state = ssl.MemoryBIO(), {"status": None, "ended": False}


def pump():
    """Reads from the proxy until there is something new."""
    for event in connection.receive_data(outer.recv(65536)):
        if isinstance(event, h2.events.ResponseReceived):
            state["status"] = dict(event.headers)[":status"]
        elif isinstance(event, h2.events.DataReceived):
            received.write(event.data)
            connection.acknowledge_received_data(event.flow_controlled_length, 1)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
            state["ended"] = True
    outer.sendall(connection.data_to_send())


while state["status"] is None:
    pump()
assert state["status"] == "200", state

sent = ssl.MemoryBIO()
inner = ssl.create_default_context(cafile=ca)
inner.set_alpn_protocols(["http/1.1"])
tls = inner.wrap_bio(received, sent, server_hostname=url.hostname)


def work(step):
    """Does a step of TLS, moving bytes through the stream for it."""
    while True:
        try:
            result = step()
        except ssl.SSLWantReadError:
            result = None
        data = sent.read()
        if data:
            connection.send_data(1, data)
            outer.sendall(connection.data_to_send())
        if result is not None:
            return result
        assert not state["ended"], "the tunnel ended"
        pump()


work(lambda: tls.do_handshake() or True)
request = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
work(lambda: tls.write(request.encode()))
answer = b""
while b"\r\n\r\n" not in answer or b"Content-Length" in answer and not answer.split(b"\r\n\r\n", 1)[1]:
    answer += work(lambda: tls.read(65536))
head, body = answer.split(b"\r\n\r\n", 1)
print(head.split(b"\r\n")[0].decode(), len(body))
