"""HTTP/2 with prior knowledge: credentials are each stream's own, and go no further."""
import base64
import json
import socket
import sys

import h2.config
import h2.connection
import h2.events

proxy, origin = sys.argv[1:]
host, port = proxy.rsplit(":", 1)
connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
link = socket.create_connection((host, int(port)), timeout=30)
connection.initiate_connection()
link.sendall(connection.data_to_send())


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(headers, end=True):
    stream = connection.get_next_available_stream_id()
    connection.send_headers(stream, headers, end_stream=end)
    link.sendall(connection.data_to_send())
    head, body = None, b""
    while True:
        for event in connection.receive_data(link.recv(65536)):
            if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream:
                head = event.headers
                if not end and dict(head)[":status"] == "200":
                    connection.reset_stream(stream)
                    link.sendall(connection.data_to_send())
                    return head, body
            elif isinstance(event, h2.events.DataReceived) and event.stream_id == stream:
                body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                link.sendall(connection.data_to_send())
                return head, body
            elif isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                raise SystemExit(f"stream {stream} was reset")
        link.sendall(connection.data_to_send())


def get(authorization=None):
    headers = [(":method", "GET"), (":scheme", "http"), (":authority", origin), (":path", "/echo")]
    return ask(headers + ([("proxy-authorization", authorization)] if authorization else []))


def connect(authorization=None):
    headers = [(":method", "CONNECT"), (":authority", origin)]
    return ask(headers + ([("proxy-authorization", authorization)] if authorization else []), end=False)


for ways in (get, connect):
    for authorization in (None, basic("alice", "wrong")):
        head, _ = ways(authorization)
        assert dict(head)[":status"] == "407", head
        assert ("proxy-authenticate", 'Basic realm="egret", charset="UTF-8"') in head, head
head, body = get(basic("alice", "secret"))
assert dict(head)[":status"] == "200", head
fields = [name.lower() for name, _ in json.loads(body)["fields"]]
assert "proxy-authorization" not in fields, fields
head, _ = get()
assert dict(head)[":status"] == "407", "what one stream proved is not another's"
head, _ = connect(basic("alice", "secret"))
assert dict(head)[":status"] == "200", head
print("good")
