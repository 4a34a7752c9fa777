// get.cjs LIBRARY URL...: asks for each URL with the proxies of the environment.
const [library, ...urls] = process.argv.slice(2);

async function main() {
  if (library === "axios") {
    const axios = require("axios");
    for (const url of urls) await axios.get(url, { timeout: 20000 });
    return;
  }
  const { EnvHttpProxyAgent, fetch } = require("undici");
  // As Node 24's own fetch does it under NODE_USE_ENV_PROXY, which sends requests for http in absolute-form.
  const dispatcher = new EnvHttpProxyAgent({ proxyTunnel: false });
  for (const url of urls) await (await fetch(url, { dispatcher })).text();
  await dispatcher.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
