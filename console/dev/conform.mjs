#!/usr/bin/env node
// Asks a console everything that can be asked without changing it, and holds the answers to docs/openapi.yaml:
//   node dev/conform.mjs http://127.0.0.1:8081 TOKEN
// Without arguments it holds the mock to it. Fields that the contract does not have are findings as well.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { parse } from "yaml";

const contract = parse(readFileSync(fileURLToPath(new URL("../../docs/openapi.yaml", import.meta.url)), "utf8"));

/** No field that is not written down: objects are closed, and those of `allOf` as a whole. */
function close(schema, inAllOf = false) {
  if (Array.isArray(schema)) return schema.map((entry) => close(entry, inAllOf));
  if (schema === null || typeof schema !== "object") return schema;
  const made = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, close(value, key === "allOf")]));
  if (schema.allOf) made.unevaluatedProperties = false;
  else if (schema.type === "object" && schema.properties && schema.additionalProperties === undefined && !inAllOf) made.additionalProperties = false;
  return made;
}

const closed = close(contract);
// What stands in an `allOf` is closed there, and open where it is put together.
closed.components.schemas.FlowSummaryOpen = { ...closed.components.schemas.FlowSummary };
delete closed.components.schemas.FlowSummaryOpen.additionalProperties;
closed.components.schemas.Flow.allOf[0].$ref = "#/components/schemas/FlowSummaryOpen";
const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
ajv.addSchema(closed, "contract");

export async function conform(address, token) {
  const findings = [];
  const compiled = new Map();
  let asked = 0;
  const validator = (pointer) => {
    if (!compiled.has(pointer)) compiled.set(pointer, ajv.compile({ $ref: `contract#${pointer}` }));
    return compiled.get(pointer);
  };
  const check = (what, pointer, value) => {
    const validate = validator(pointer);
    if (validate(value)) return;
    for (const error of validate.errors.slice(0, 8)) findings.push(`${what}: ${error.instancePath || "/"} ${error.message} ${JSON.stringify(error.params)}`);
  };
  const pointerTo = (path, method, status) => `/paths/${path.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll("{", "%7B").replaceAll("}", "%7D")}/${method}/responses/${status}/content/application~1json/schema`;
  const ask = async (path, { method = "get", params = {}, query = "", body, status = 200, auth = true } = {}) => {
    asked++;
    const url = `${address}/api/v1${path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name]))}${query}`;
    const response = await fetch(url, {
      method: method.toUpperCase(),
      headers: { ...(auth ? { Authorization: `Bearer ${token}` } : {}), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: "manual",
    });
    const what = `${method.toUpperCase()} ${path}${query}`;
    if (response.status !== status) {
      findings.push(`${what}: ${response.status}, where ${status} was expected: ${(await response.text()).slice(0, 300)}`);
      return undefined;
    }
    for (const [name, wanted] of [["cache-control", "no-store"], ["x-content-type-options", "nosniff"], ["referrer-policy", "no-referrer"]]) if (!(response.headers.get(name) ?? "").includes(wanted)) findings.push(`${what}: the header ${name} is ${response.headers.get(name)}, not ${wanted}`);
    const type = response.headers.get("content-type") ?? "";
    if (status >= 400) {
      if (!type.startsWith("application/problem+json")) findings.push(`${what}: an error of type ${type}`);
      const problem = await response.json();
      check(what, "/components/schemas/Problem", problem);
      return problem;
    }
    if (!type.startsWith("application/json")) return response;
    const value = await response.json();
    if (contract.paths[path]?.[method]?.responses[status]?.content?.["application/json"]) check(what, pointerTo(path, method, status), value);
    return value;
  };

  // Nobody without a token.
  for (const path of ["/session", "/server", "/flows", "/events", "/stats", "/policy", "/ca", "/ca/rejections", "/audit", "/breakpoints", "/held", "/changes", "/export/har"]) await ask(path, { auth: false, status: 401 });
  const nobody = await ask("/session", { auth: false, status: 401 });
  if (!Array.isArray(nobody?.methods)) findings.push("GET /session: its 401 does not name the methods");
  await ask("/session", { method: "post", body: { token: "certainly-wrong" }, auth: false, status: 401 });
  const queried = await fetch(`${address}/api/v1/flows?token=${token}`);
  if (queried.status !== 401) findings.push(`GET /flows?token=…: ${queried.status}, where a token in the query has to be refused`);

  for (const path of ["/session", "/server", "/audit", "/stats", "/policy", "/policy/audit", "/policy/suggest", "/ca", "/ca/rejections", "/breakpoints", "/held", "/changes"]) await ask(path);
  for (const window of ["5m", "1h", "6h"]) await ask("/stats", { query: `?window=${window}&edges=5` });
  await ask("/policy/explain", { method: "post", body: { method: "GET", url: "https://example.com/", as: { user: "alice" } } });
  await ask("/policy/explain", { method: "post", body: { method: "CONNECT", url: "example.com:443" } });

  // Filters: each word, each operator, and what does not read.
  for (const filter of ["", "host:*.example.com status:>=500", "~d example ~m POST ~c 500 | ~b text", "is:failed !(client:10.0.0.0/8 or time:>1s)", 'identity:"a b" bytes:>1mb since:5m', "~all"]) {
    const answer = await ask("/filter", { query: `?filter=${encodeURIComponent(filter)}` });
    if (answer && !answer.ok) findings.push(`GET /filter: “${filter}” does not read: ${answer.error?.message}`);
    await ask("/flows", { query: `?limit=3&filter=${encodeURIComponent(filter)}` });
  }
  for (const filter of ["(", "status:abc", "hosst:x", "~nonsense", '"open']) {
    const answer = await ask("/filter", { query: `?filter=${encodeURIComponent(filter)}` });
    if (answer?.ok) findings.push(`GET /filter: “${filter}” reads, and should not`);
    const problem = await ask("/flows", { query: `?filter=${encodeURIComponent(filter)}`, status: 400 });
    if (problem && (problem.code !== "bad-filter" || problem.position === undefined)) findings.push(`GET /flows: “${filter}” is ${problem.code} without a position`);
  }

  // Paging: by cursor and by offset, the same flows.
  const first = await ask("/flows", { query: "?limit=50" });
  if (first) {
    const byCursor = [...first.flows];
    for (let next = first.next; next && byCursor.length < 150; ) {
      const page = await ask("/flows", { query: `?limit=50&cursor=${encodeURIComponent(next)}` });
      if (!page) break;
      byCursor.push(...page.flows);
      next = page.next;
    }
    if (new Set(byCursor.map((flow) => flow.id)).size !== byCursor.length) findings.push(`GET /flows: a flow came twice by cursor: ${JSON.stringify(byCursor.filter((flow, at) => byCursor.findIndex((other) => other.id === flow.id) !== at))}`);
    const second = await ask("/flows", { query: `?limit=50&offset=50&until=${first.revision}` });
    if (second && second.total !== first.total) findings.push(`GET /flows: total is ${second.total} with until, and was ${first.total}`);
    if (second && JSON.stringify(second.flows.map((flow) => flow.id)) !== JSON.stringify(byCursor.slice(50, 100).map((flow) => flow.id))) findings.push("GET /flows: pages by offset and by cursor differ");
  }
  for (const sort of ["started", "-totalMs", "bytes", "-status", "host", "method", "-identity"]) await ask("/flows", { query: `?limit=5&sort=${sort}` });
  await ask("/flows", { query: "?limit=0", status: 400 });
  await ask("/flows/{id}", { params: { id: "zzzzzzzz" }, status: 404 });

  // Flows of every kind and treatment, with all that hangs on them.
  const seen = new Map();
  for (const filter of ["", "kind:grpc", "kind:websocket", "kind:events", "kind:tunnel", "is:refused", "is:failed !is:refused", "is:audit", "treatment:intercept", "treatment:forward", "treatment:local", "status:418"]) {
    const page = await ask("/flows", { query: `?limit=4&filter=${encodeURIComponent(filter)}` });
    for (const flow of page?.flows ?? []) seen.set(flow.id, flow);
  }
  for (const id of seen.keys()) {
    const flow = await ask("/flows/{id}", { params: { id } });
    if (!flow) continue;
    await ask("/flows/{id}/messages", { params: { id }, query: "?limit=5" });
    if (flow.request) await ask("/flows/{id}/curl", { params: { id } });
    for (const side of ["request", "response"]) {
      const kept = flow[side]?.body?.captured > 0;
      if (kept) await ask("/flows/{id}/{side}/text", { params: { id, side }, query: "?length=1000" });
      const bytes = await ask("/flows/{id}/{side}/body", { params: { id, side }, query: "?length=100", status: kept ? 200 : 404 });
      if (kept && bytes) {
        if (bytes.headers.get("content-type") !== "application/octet-stream") findings.push(`body of ${id}: served as ${bytes.headers.get("content-type")}`);
        if (!/sandbox/.test(bytes.headers.get("content-security-policy") ?? "")) findings.push(`body of ${id}: no sandbox`);
        if (!/attachment/.test(bytes.headers.get("content-disposition") ?? "")) findings.push(`body of ${id}: no attachment`);
        if ((await bytes.arrayBuffer()).byteLength > 100) findings.push(`body of ${id}: longer than asked for`);
      }
    }
  }
  const har = await ask("/export/har", { query: `?id=${[...seen.keys()].slice(0, 5).join(",")}` });
  if (har && har.log?.version !== "1.2") findings.push("GET /export/har: no HAR 1.2");

  await events(address, token, check, findings);
  return { asked, flows: seen.size, findings };
}

/** The stream begins with `hello`, and each event has an id and the shape of its name. */
async function events(address, token, check, findings) {
  const shapes = { hello: "Hello", flows: "FlowsEvent", stats: "StatsPoint", held: "HeldEvent", rules: "RulesEvent", lost: "LostEvent" };
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), 3000);
  const names = [];
  try {
    const response = await fetch(`${address}/api/v1/events?lastEventId=zzzz-1`, { headers: { Authorization: `Bearer ${token}` }, signal: controller.signal });
    if (!(response.headers.get("content-type") ?? "").startsWith("text/event-stream")) findings.push("GET /events: no text/event-stream");
    let text = "";
    for await (const chunk of response.body) {
      text += Buffer.from(chunk).toString("utf8");
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const fields = Object.fromEntries(text.slice(0, end).split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
        text = text.slice(end + 2);
        if (fields.event === undefined) continue;
        names.push(fields.event);
        if (!/^[0-9a-z]+-[0-9]+$/.test(fields.id ?? "")) findings.push(`GET /events: ${fields.event} has the id ${fields.id}`);
        if (shapes[fields.event]) check(`event ${fields.event}`, `/components/schemas/${shapes[fields.event]}`, JSON.parse(fields.data));
        else findings.push(`GET /events: an event ${fields.event}`);
      }
    }
  } catch (error) {
    if (!controller.signal.aborted) findings.push(`GET /events: ${error}`);
  } finally {
    clearTimeout(timer);
  }
  if (names[0] !== "hello") findings.push(`GET /events: begins with ${names[0]}, not with hello`);
  if (!names.includes("lost")) findings.push("GET /events: an id of another process did not give lost");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let [address, token] = process.argv.slice(2);
  let mock;
  if (!address) {
    mock = await (await import("./mock.mjs")).start({ flows: 3000 });
    ({ address, token } = mock);
  }
  const { asked, flows, findings } = await conform(address.replace(/\/$/, ""), token);
  await mock?.stop();
  for (const finding of findings) console.log(finding);
  console.log(`${asked} requests, ${flows} flows looked at, ${findings.length} findings`);
  process.exit(findings.length > 0 ? 1 : 0);
}
