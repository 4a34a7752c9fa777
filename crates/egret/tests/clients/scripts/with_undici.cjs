// fetch with a proxy agent, as Node's own fetch does it under NODE_USE_ENV_PROXY.
const assert = require("node:assert");
const { ProxyAgent, fetch } = require("undici");

const [proxy, http, https] = process.argv.slice(2);

async function main() {
  for (const proxyTunnel of [true, false]) {
    const dispatcher = new ProxyAgent({ uri: proxy, proxyTunnel });
    for (const origin of [http, https]) {
      const echo = await (await fetch(`${origin}/echo?a=b`, { dispatcher })).json();
      assert.equal(echo.target, "/echo?a=b");
      const body = "z".repeat(100000);
      const posted = await (await fetch(`${origin}/echo`, { dispatcher, method: "POST", body })).json();
      assert.equal(posted.bytes, 100000);
    }
    const all = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => (await (await fetch(`${http}/chunked/${i * 100}`, { dispatcher })).arrayBuffer()).byteLength),
    );
    assert.deepEqual(all, Array.from({ length: 30 }, (_, i) => i * 100));
    await dispatcher.close();
  }
}

main().then(() => console.log("good"), (error) => { console.error(error); process.exit(1); });
