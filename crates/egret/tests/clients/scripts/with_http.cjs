// The built-in http module: absolute-form by hand, and CONNECT with its event.
const assert = require("node:assert");
const http = require("node:http");
const tls = require("node:tls");

const [proxyUrl, httpOrigin, httpsOrigin] = process.argv.slice(2);
const proxy = new URL(proxyUrl);

function get(path, headers) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: proxy.hostname, port: proxy.port, path, headers, agent }, (response) => {
      let text = "";
      response.on("data", (data) => (text += data));
      response.on("end", () => (response.complete ? resolve(text) : reject(new Error("cut"))));
    });
    request.on("error", reject);
    request.end();
  });
}

function tunnel(authority) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: authority, headers: { host: authority } });
    request.on("connect", (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy(); // the proxy would keep it for another request
      reject(new Error(response.statusMessage));
    });
    request.on("error", reject);
    request.end();
  });
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });

async function main() {
  const host = new URL(httpOrigin).host;
  for (let i = 0; i < 10; i++) {
    assert.equal(JSON.parse(await get(`${httpOrigin}/echo?${i}`, { host })).target, `/echo?${i}`);
  }
  const { host: authority, hostname } = new URL(httpsOrigin);
  const socket = tls.connect({ socket: await tunnel(authority), servername: hostname });
  socket.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const data of socket) text += data;
  assert.match(text, /origin\n$/);
  await assert.rejects(tunnel("127.0.0.1:1"), /egret connect-refused/);
  agent.destroy();
}

main().then(() => console.log("good"), (error) => { console.error(error); process.exit(1); });
