"""Runs clients in a network of their own, and says which way each request went.

lab.py PLAN: a JSON object with `environment`, `urls`, `clients` (name -> command; the URLs are appended) and `tls` (address
-> [chain, key]). Every URL is asked for at /CLIENT/NUMBER of its host. Prints {client: {"status": exit code, "output": …,
"ways": {url: direct|proxy}}}.
"""

import json
import os
import socketserver
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler

ways = {}


class Handler(BaseHTTPRequestHandler):
    way = ""

    def do_GET(self):
        # Absolute-form at the proxy, origin-form at the origin.
        path = "/" + self.path.split("://")[-1].split("/", 1)[1]
        parts = path.split("/")
        ways.setdefault((parts[1], parts[2]), self.way)
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(address, way):
    server = Server(address, type(way, (Handler,), {"way": way}))
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Server6(Server):
    address_family = 10


with open(sys.argv[1]) as file:
    plan = json.load(file)
serve(("127.0.0.1", 8888), "proxy")
serve(("0.0.0.0", 80), "direct")
six = Server6(("::1", 80), type("direct", (Handler,), {"way": "direct"}))
threading.Thread(target=six.serve_forever, daemon=True).start()

for address, (chain, key) in plan["tls"].items():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = Server((address, 443), type("direct", (Handler,), {"way": "direct"}))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()

results = {}


def run(name, command):
    urls = [f"{url}/{name}/{number}" for number, url in enumerate(plan["urls"])]
    environment = {**os.environ, **plan["environment"]}
    done = subprocess.run(command + urls, env=environment, capture_output=True, text=True, timeout=80, check=False)
    results[name] = {
        "status": done.returncode,
        "output": done.stdout + done.stderr,
        "ways": {url: ways.get((name, str(number)), "none") for number, url in enumerate(plan["urls"])},
    }


for client, command in plan["clients"].items():
    run(client, command)
print(json.dumps(results))
