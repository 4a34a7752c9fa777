// An origin over TLS: node origin.cjs CERTIFICATE KEY PROTOCOLS. Prints its port; answers with what it sees.
//
//   /            {"version": of HTTP, "connections": that came so far, "alpn": what was agreed}
//   /bytes/N     N bytes
//   /upload      the length of the request's body
//   /alt-svc     with Alt-Svc
//   /events/N    N server-sent events, 300 ms apart, and then comments until the client goes
//   /dns/HEX     these bytes as a DNS message
const fs = require("fs");
const http2 = require("http2");
const https = require("https");

const [certificate, key, protocols] = process.argv.slice(2);
const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key), allowHTTP1: protocols.includes("http/1.1") };
const speaksHttp2 = protocols.includes("h2");
let connections = 0;

function answer(request, response) {
  const [, route, argument] = request.url.split("/");
  const seen = { version: request.httpVersion, connections, alpn: request.socket.alpnProtocol || null };
  if (route === "events") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    let sent = 0;
    const send = () => {
      if (response.destroyed) return;
      if (sent < Number(argument)) {
        sent += 1;
        response.write(`event: tick\nid: ${sent}\ndata: ${JSON.stringify({ number: sent })}\n\n`);
      } else {
        response.write(": still here\n\n");
      }
      setTimeout(send, 300);
    };
    send();
    return;
  }
  if (route === "bytes") {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    response.end(Buffer.alloc(Number(argument), "x"));
    return;
  }
  if (route === "upload") {
    let length = 0;
    request.on("data", (data) => (length += data.length));
    request.on("end", () => response.end(String(length)));
    return;
  }
  if (route === "dns") {
    const bytes = Buffer.from(argument, "hex");
    response.writeHead(200, { "content-type": "application/dns-message", "content-length": bytes.length });
    response.end(bytes);
    return;
  }
  const fields = { "content-type": "application/json" };
  if (route === "alt-svc") Object.assign(fields, { "alt-svc": 'h3=":443"; ma=86400', "x-kept": "yes" });
  response.writeHead(200, fields);
  response.end(JSON.stringify(seen));
}

const server = speaksHttp2 ? http2.createSecureServer(options, answer) : https.createServer(options, answer);
server.on("connection", () => (connections += 1));
server.on("error", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
