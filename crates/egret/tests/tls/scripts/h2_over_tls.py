"""HTTP/2 over mutual TLS: forwarded requests and tunnels on one connection, one tunnel of which is not read."""
import socket
import ssl
import sys
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events

proxy, http, https_authority, proxy_ca, client_pem, origin_ca = sys.argv[1:]
address, origin = urlsplit(proxy), urlsplit(http).netloc
context = ssl.create_default_context(cafile=proxy_ca)
context.load_cert_chain(client_pem)
context.set_alpn_protocols(["h2", "http/1.1"])
plain = socket.create_connection((address.hostname, address.port), timeout=60)
tls = context.wrap_socket(plain, server_hostname="localhost")
assert tls.selected_alpn_protocol() == "h2"
connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
connection.initiate_connection()
heads, bodies, ended, unread = {}, {}, set(), {}
stalled = set()


def flush():
    tls.sendall(connection.data_to_send())


def pump():
    data = tls.recv(65536)
    assert data, "the proxy closed the connection"
    for event in connection.receive_data(data):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ResponseReceived):
            heads[stream] = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            bodies[stream] = bodies.get(stream, b"") + event.data
            if stream in stalled:
                unread[stream] = unread.get(stream, 0) + event.flow_controlled_length
                # The connection's window is given back, the stream's is not.
                connection.increment_flow_control_window(event.flow_controlled_length)
            else:
                connection.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamEnded):
            ended.add(stream)
        elif isinstance(event, h2.events.StreamReset):
            raise SystemExit(f"stream {stream} was reset: {event.error_code}")
    flush()


def until(done):
    while not done():
        pump()


def open_stream(headers, end=True):
    stream = connection.get_next_available_stream_id()
    connection.send_headers(stream, headers, end_stream=end)
    flush()
    return stream


def connect(authority):
    stream = open_stream([(":method", "CONNECT"), (":authority", authority)], end=False)
    until(lambda: stream in heads)
    assert heads[stream][":status"] == "200", heads[stream]
    return stream


def get(path):
    return open_stream([(":method", "GET"), (":scheme", "http"), (":authority", origin), (":path", path)])


# One tunnel that is opened, asked for a lot, and not read.
lazy = connect(origin)
stalled.add(lazy)
connection.send_data(lazy, f"GET /bytes/50000000 HTTP/1.1\r\nHost: {origin}\r\n\r\n".encode())
flush()
until(lambda: unread.get(lazy, 0) > 30_000)
# Twenty that are, at once, and requests between them.
tunnels = [connect(origin) for _ in range(20)]
requests = [get(f"/bytes/{200_000 + i}") for i in range(20)]
for stream in tunnels:
    text = f"GET /bytes/300000 HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n\r\n"
    connection.send_data(stream, text.encode())
flush()
until(lambda: ended.issuperset(tunnels + requests))
for i, stream in enumerate(requests):
    assert heads[stream][":status"] == "200" and len(bodies[stream]) == 200_000 + i
for stream in tunnels:
    head, _, body = bodies[stream].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and len(body) == 300_000, head
assert unread[lazy] < 1_000_000, f"what is not read is not sent: {unread[lazy]}"

# A tunnel that carries TLS to the origin.
inner = ssl.create_default_context(cafile=origin_ca)
inner.check_hostname = False
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
session = inner.wrap_bio(incoming, outgoing, server_hostname="localhost")
stream = connect(https_authority)
taken = 0


def step(action):
    global taken
    while True:
        try:
            result = action()
        except ssl.SSLWantReadError:
            result = None
        if data := outgoing.read():
            connection.send_data(stream, data)
            flush()
        if result is not None:
            return result
        before = len(bodies.get(stream, b""))
        until(lambda: len(bodies.get(stream, b"")) > taken or stream in ended)
        incoming.write(bodies.get(stream, b"")[taken:])
        taken = len(bodies.get(stream, b""))
        if stream in ended and before == taken:
            raise SystemExit("the tunnel ended early")


step(lambda: session.do_handshake() or True)
step(lambda: session.write(f"GET / HTTP/1.1\r\nHost: {https_authority}\r\n\r\n".encode()))
answer = b""
while b"origin\n" not in answer:
    answer += step(lambda: session.read(4096))
assert answer.startswith(b"HTTP/1.1 200"), answer
print("good")
