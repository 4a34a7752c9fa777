// Evaluates a PAC file for each URL and prints its answers.
const fs = require("node:fs");
const { createPacResolver } = require("pac-resolver");
const { getQuickJS } = require("@tootallnate/quickjs-emscripten");

const [file, ...urls] = process.argv.slice(2);

async function main() {
  const find = createPacResolver(await getQuickJS(), fs.readFileSync(file, "utf8"));
  for (const url of urls) console.log(await find(url));
}

main().catch((error) => { console.error(error); process.exit(1); });
