"""An upgrade to another protocol inside a tunnel: prints what comes back."""

import socket
import ssl
import sys

proxy, origin, ca = sys.argv[1:]
host, port = proxy.rsplit(":", 1)
connection = socket.create_connection((host, int(port)), timeout=30)
connection.sendall(f"CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n".encode())
assert b" 200 " in connection.recv(4096)
context = ssl.create_default_context(cafile=ca)
stream = context.wrap_socket(connection, server_hostname=origin.rsplit(":", 1)[0])
request = f"GET /upgrade HTTP/1.1\r\nHost: {origin}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
stream.sendall(request.encode())
answer = b""
while b"\r\n\r\n" not in answer:
    answer += stream.recv(4096)
assert b" 101 " in answer, answer
stream.sendall(b"hello")
answer = answer.split(b"\r\n\r\n", 1)[1]
while len(answer) < 5:
    answer += stream.recv(4096)
print(answer.decode())
