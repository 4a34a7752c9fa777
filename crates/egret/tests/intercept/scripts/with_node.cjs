// GET through the proxy with node's own https; prints the length of the body. The CA comes from NODE_EXTRA_CA_CERTS.
const http = require("http");
const https = require("https");

const [proxy, url] = process.argv.slice(2).map((text) => new URL(text));
const connect = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: url.host, headers: { Host: url.host } });
connect.on("connect", (_, socket) => {
  const options = { socket, servername: url.hostname, agent: false, path: url.pathname, headers: { Host: url.host } };
  https.get(options, (response) => {
    let length = 0;
    response.on("data", (data) => (length += data.length));
    response.on("end", () => {
      console.log(length);
      process.exit(0);
    });
  });
});
connect.end();
