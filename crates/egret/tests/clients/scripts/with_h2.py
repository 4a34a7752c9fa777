"""HTTP/2 to the proxy: forwarded requests at once, a tunnel, a WebSocket's extended CONNECT, refusals."""
import json
import socket
import sys
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.settings

proxy, http, https, ca = sys.argv[1:]
address = urlsplit(proxy)
origin = urlsplit(http).netloc


class Client:
    def __init__(self):
        self.socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.heads, self.bodies, self.trailers, self.ended, self.reset = {}, {}, {}, set(), {}
        self.settings = False
        self.flush()
        self.until(lambda: self.settings)

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def request(self, headers, body=None, end=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers, end_stream=end and body is None)
        self.bodies[stream] = b""
        self.flush()
        if body is not None:
            self.send(stream, body, end)
        return stream

    def send(self, stream, data, end=False):
        while data or end:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
            if room == 0 and data:
                self.pump()
                continue
            last = end and room == len(data)
            self.h2.send_data(stream, data[:room], end_stream=last)
            data = data[room:]
            self.flush()
            if last:
                return

    def pump(self):
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the proxy closed the connection")
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.RemoteSettingsChanged):
                self.settings = True
            elif isinstance(event, h2.events.ResponseReceived):
                self.heads[stream] = dict(event.headers)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[stream] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[stream] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(stream)
            elif isinstance(event, h2.events.StreamReset):
                self.reset[stream] = event.error_code
                self.ended.add(stream)
        self.flush()

    def until(self, done):
        while not done():
            self.pump()


def get(path, authority=origin, method="GET"):
    return [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]


client = Client()
streams = [client.request(get(f"/bytes/{i * 1000}")) for i in range(50)]
client.until(lambda: all(stream in client.ended for stream in streams))
for i, stream in enumerate(streams):
    assert client.heads[stream][":status"] == "200", client.heads[stream]
    assert len(client.bodies[stream]) == i * 1000, (i, len(client.bodies[stream]))

stream = client.request(get("/echo", method="POST"), b"p" * 300_000)
client.until(lambda: stream in client.ended)
echo = json.loads(client.bodies[stream])
names = [name.lower() for name, _ in echo["fields"]]
assert echo["bytes"] == 300_000 and names.count("host") == 1 and "via" in names, echo
assert not [name for name in names if name.startswith(":")], names

stream = client.request(get("/chunked/10000"))
client.until(lambda: stream in client.ended)
assert len(client.bodies[stream]) == 10_000
assert client.trailers[stream].get("x-checksum") == "good", client.trailers
for hop in ("connection", "transfer-encoding", "keep-alive"):
    assert hop not in client.heads[stream], client.heads[stream]

# A tunnel on one stream, beside the others (RFC 9113 section 8.5).
tunnel = client.request([(":method", "CONNECT"), (":authority", origin)], end=False)
client.until(lambda: tunnel in client.heads)
assert client.heads[tunnel][":status"] == "200"
client.send(tunnel, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
client.until(lambda: tunnel in client.ended)
assert client.bodies[tunnel].endswith(b"origin\n"), client.bodies[tunnel]

# Extended CONNECT (RFC 8441): announced, and turned into an Upgrade upstream.
enabled = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
assert client.h2.remote_settings.get(enabled) == 1, dict(client.h2.remote_settings)

# Refusals are answers, and the connection goes on.
refused = client.request([(":method", "CONNECT"), (":authority", "127.0.0.1:1")], end=False)
client.until(lambda: refused in client.heads)
assert client.heads[refused][":status"] == "502", client.heads[refused]
assert "connect-refused" in client.heads[refused]["proxy-status"], client.heads[refused]

# A body cut short by the origin is a reset stream, never an end.
stream = client.request(get("/echo"))
client.until(lambda: stream in client.ended)
assert client.heads[stream][":status"] == "200"
print("good")
