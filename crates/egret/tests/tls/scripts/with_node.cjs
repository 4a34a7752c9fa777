// Node behind a proxy with mutual TLS: undici's ProxyAgent, the built-in https module, and http2.
const assert = require("node:assert");
const fs = require("node:fs");
const http2 = require("node:http2");
const https = require("node:https");
const tls = require("node:tls");
const { ProxyAgent, request } = require("undici");

const [proxy, http, secure, proxyCa, clientPem, originCa] = process.argv.slice(2);
const own = { ca: fs.readFileSync(proxyCa), cert: fs.readFileSync(clientPem), key: fs.readFileSync(clientPem) };
const origin = { ca: fs.readFileSync(originCa) };

async function undici() {
  const dispatcher = new ProxyAgent({ uri: proxy, proxyTls: own, requestTls: origin });
  for (const url of [http, secure]) {
    const { statusCode, body } = await request(`${url}/`, { dispatcher });
    assert.strictEqual(statusCode, 200);
    assert.strictEqual(await body.text(), "origin\n");
    const answer = await request(`${url}/echo`, { dispatcher, method: "POST", body: "x".repeat(1_000_000) });
    assert.strictEqual((await answer.body.json()).bytes, 1_000_000);
  }
  await dispatcher.close();
}

function text(stream) {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.setEncoding("utf8");
    stream.on("data", (piece) => (text += piece));
    stream.on("end", () => resolve(text));
    stream.on("error", reject);
  });
}

// The built-in modules: a request in absolute-form, and CONNECT with TLS inside.
async function builtIn() {
  const address = new URL(proxy);
  const options = { host: address.hostname, port: address.port, ...own };
  const forwarded = await new Promise((resolve, reject) => {
    https.request({ ...options, path: `${http}/`, headers: { Host: new URL(http).host } }, resolve).on("error", reject).end();
  });
  assert.strictEqual(await text(forwarded), "origin\n");
  const authority = new URL(secure).host;
  const socket = await new Promise((resolve, reject) => {
    const connect = https.request({ ...options, method: "CONNECT", path: authority, headers: { Host: authority } });
    connect.on("connect", (response, socket) => {
      assert.strictEqual(response.statusCode, 200);
      resolve(socket);
    });
    connect.on("error", reject).end();
  });
  const inner = tls.connect({ socket, servername: "localhost", ...origin });
  inner.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
  assert.match(await text(inner), /^HTTP\/1\.1 200 [\s\S]*origin\n$/);
}

async function overHttp2() {
  const session = http2.connect(proxy, own);
  const forwarded = session.request({ ":scheme": "http", ":authority": new URL(http).host, ":path": "/" });
  assert.strictEqual(await text(forwarded), "origin\n");
  const authority = new URL(secure).host;
  const tunnel = session.request({ ":method": "CONNECT", ":authority": authority });
  const status = await new Promise((resolve, reject) => {
    tunnel.on("response", (headers) => resolve(headers[":status"]));
    tunnel.on("error", reject);
  });
  assert.strictEqual(status, 200);
  const inner = tls.connect({ socket: tunnel, servername: "localhost", ...origin });
  inner.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
  assert.match(await text(inner), /^HTTP\/1\.1 200 [\s\S]*origin\n$/);
  session.destroy();
}

(async () => {
  await undici();
  await builtIn();
  await overHttp2();
  console.log("good");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
