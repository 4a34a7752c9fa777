"""GET through the proxy by a client that offers h2 and nothing else: PROXY URL CA. Prints the body."""

import socket
import ssl
import sys
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events

proxy, url, ca = sys.argv[1], urlsplit(sys.argv[2]), sys.argv[3]
host, port = proxy.rsplit(":", 1)
tcp = socket.create_connection((host, int(port)), timeout=20)
tcp.sendall(f"CONNECT {url.netloc} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
head = b""
while b"\r\n\r\n" not in head:
    head += tcp.recv(1)
assert head.startswith(b"HTTP/1.1 200"), head
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(["h2"])
tls = context.wrap_socket(tcp, server_hostname=url.hostname)
assert tls.selected_alpn_protocol() == "h2"
connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
connection.initiate_connection()
connection.send_headers(
    1,
    [(":method", "GET"), (":authority", url.netloc), (":scheme", "https"), (":path", url.path)],
    end_stream=True,
)
tls.sendall(connection.data_to_send())
body, done = b"", False
while not done:
    for event in connection.receive_data(tls.recv(65536)):
        if isinstance(event, h2.events.DataReceived):
            body += event.data
        done = done or isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset))
    tls.sendall(connection.data_to_send())
print(body.decode())
