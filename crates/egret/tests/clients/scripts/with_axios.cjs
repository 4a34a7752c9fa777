const assert = require("node:assert");
const axios = require("axios");

const [proxy, http] = process.argv.slice(2);
const { hostname, port } = new URL(proxy);

async function main() {
  const client = axios.create({ proxy: { protocol: "http", host: hostname, port: Number(port) }, timeout: 30000 });
  assert.equal((await client.get(`${http}/echo`)).data.target, "/echo");
  assert.equal((await client.post(`${http}/echo`, { a: 1 })).data.body, '{"a":1}');
  assert.equal((await client.get(`${http}/status/404`, { validateStatus: null })).status, 404);
}

main().then(() => console.log("good"), (error) => { console.error(error); process.exit(1); });
