#!/usr/bin/env node
// A proxy's console without a proxy, to work on the pages with: `npm run mock`, then open the link that it prints.
// It binds loopback only. `--flows N`, `--port N`, `--rate N` (new flows a second), `--empty`.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { clean, EVIL, idOf, makeFlow } from "./mock/data.mjs";
import { body, detail, messages } from "./mock/detail.mjs";
import { compile, FilterError } from "./mock/filter.mjs";
import * as views from "./mock/views.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const EPOCH = "k3f9";

/** Starts it; the answer says where it is and how to end it. */
export async function start({ port = 0, flows: wanted = 100_000, rate = 25, token = "mock-token", empty = false, tame = false } = {}) {
  const began = Date.now();
  // Traffic comes in waves.
  const when = (share) => share + 0.012 * Math.sin(share * 41) * share + 0.004 * Math.sin(share * 173) * share;
  const flows = [];
  const byId = new Map();
  let seq = 0;
  const add = (flow) => {
    flows.push(flow);
    byId.set(flow.id, flow);
    return flow;
  };
  if (!empty) for (let i = 0; i < wanted; i++) add(makeFlow(++seq, began - when(1 - i / wanted) * 3_600_000, false, tame));
  let revision = seq;
  const now = () => `${EPOCH}-${revision}`;
  const sessions = new Map();
  const audit = [];
  const note = (role, action, target, more) => audit.unshift(clean({ at: new Date().toISOString(), role, from: "127.0.0.1:51234", action, target, ...more }));
  note("admin", "login", undefined, { name: EVIL });
  let breakpoints = [{ id: "b1", filter: "host:api.stripe.com method:POST", phase: "request", enabled: true, timeoutMs: 60_000, onTimeout: "go-on", hits: 3 }];
  let changes = [
    { id: "c1", name: "slow bank", filter: "host:rates.bank.example", enabled: true, source: "console", actions: [{ delayResponse: { millis: 2000 } }], hits: 214, lastHit: new Date(began - 5000).toISOString() },
    { id: "c2", name: "beta API", filter: "host:api.github.com", enabled: false, source: "console", actions: [{ setRequestHeader: { name: "X-GitHub-Api-Version", value: "2026-10-01" } }, { removeResponseHeader: { name: "Set-Cookie" } }], hits: 0 },
    { id: "c3", name: "fixture for search", filter: "path:/v2/search", enabled: true, source: "config", actions: [{ answer: { status: 200, headers: [{ name: "Content-Type", value: "application/json" }], file: "search.json" } }], hits: 31, lastHit: new Date(began - 60_000).toISOString() },
  ];
  const held = new Map();
  const streams = new Set();

  // --- live ------------------------------------------------------------------------------------------------------------
  const history = [];
  const emit = (event, data) => {
    revision++;
    const entry = { id: now(), event, data };
    history.push(entry);
    if (history.length > 500) history.shift();
    for (const stream of streams) stream.push(entry);
  };
  const send = (stream, { id, event, data }) => {
    if (event !== "hello" && event !== "lost" && !stream.topics.has(event)) return;
    let shown = data;
    if (event === "flows") {
      const matching = data.flows.filter(stream.test);
      if (matching.length === 0 && data.gone.length === 0) return;
      shown = { ...data, flows: matching };
    }
    stream.response.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(shown)}\n\n`);
  };
  const timers = [];
  const open = new Set();
  if (rate > 0) {
    let due = 0;
    timers.push(setInterval(() => {
      due += rate / 5;
      const changed = [];
      for (; due >= 1; due--) {
        revision++;
        seq = Math.max(seq, revision);
        const flow = add(makeFlow(seq, Date.now(), true, tame));
        if (flow.state === "open") open.add(flow);
        changed.push(flow);
      }
      for (const flow of open) {
        if (Math.random() > 0.04) continue;
        open.delete(flow);
        const done = { ...flow, state: "complete", status: flow.status || 200, totalMs: Date.now() - Date.parse(flow.started) };
        byId.set(done.id, done);
        flows[flows.findLastIndex((known) => known.id === done.id)] = done;
        changed.push(done);
      }
      if (changed.length > 0) emit("flows", { flows: changed, gone: [], total: flows.length, revision: now() });
    }, 200));
    timers.push(setInterval(() => {
      const recent = flows.slice(-rate).filter((flow) => Date.parse(flow.started) > Date.now() - 1000);
      const ms = recent.filter((flow) => flow.kind === "http").map((flow) => flow.totalMs ?? 0).sort((a, b) => a - b);
      emit("stats", { t: Date.now(), flows: recent.length, errors: recent.filter((f) => f.reason && f.blame !== "policy").length, refusals: recent.filter((f) => f.blame === "policy").length, bytesUp: sum(recent, "bytesUp"), bytesDown: sum(recent, "bytesDown"), p50: ms[Math.floor(ms.length / 2)] ?? 0, p90: ms[Math.floor(ms.length * 0.9)] ?? 0, p99: ms[ms.length - 1] ?? 0, open: open.size + 40 });
    }, 1000));
  }
  timers.push(setInterval(() => {
    for (const stream of streams) stream.response.write(": still here\n\n");
  }, 15_000));

  const heldList = () => [...held.values()].map((entry) => ({ ...entry, flow: byId.get(entry.flow.id) }));
  const hold = () => {
    const flow = flows.findLast((candidate) => candidate.host === "api.stripe.com" && candidate.method === "POST" && !candidate.reason);
    if (!flow) return;
    const waiting = { ...flow, state: "held", status: 0 };
    byId.set(flow.id, waiting);
    flows[flows.indexOf(flow)] = waiting;
    held.set(flow.id, { flow: waiting, phase: "request", breakpoint: "b1", filter: "host:api.stripe.com method:POST", since: new Date().toISOString(), deadline: new Date(Date.now() + 57_000).toISOString(), onTimeout: "go-on", bodyEditable: true });
    emit("held", { held: heldList() });
    emit("flows", { flows: [waiting], gone: [], revision: now() });
    return flow.id;
  };

  // --- requests --------------------------------------------------------------------------------------------------------
  class Problem extends Error {
    constructor(status, code, title, more = {}) {
      super(title);
      this.body = { status, code, title, ...more };
    }
  }
  const compileOr400 = (text) => {
    try {
      return compile(text);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      throw new Problem(400, "bad-filter", "The filter does not read.", clean({ detail: error.message, position: error.position, length: error.length, suggestion: error.suggestion }));
    }
  };
  const cache = new Map();
  const select = (filter, sort, until) => {
    const key = JSON.stringify([filter, sort, until]);
    if (until !== undefined && cache.has(key)) return cache.get(key);
    const { test } = compileOr400(filter);
    const limit = until === undefined ? Infinity : Number(until.split("-")[1]);
    let found = flows.filter((flow) => flow.seq <= limit && test(flow));
    const field = sort.replace("-", "");
    const sign = sort.startsWith("-") ? -1 : 1;
    const value = { started: (f) => f.seq, bytes: (f) => f.bytesUp + f.bytesDown, totalMs: (f) => f.totalMs ?? 0 }[field] ?? ((f) => f[field]);
    if (sort === "-started") found.reverse();
    else if (sort !== "started") found.sort((a, b) => (value(a) < value(b) ? -sign : value(a) > value(b) ? sign : b.seq - a.seq));
    cache.clear();
    if (until !== undefined) cache.set(key, found);
    return found;
  };
  const find = (id) => byId.get(id) ?? (() => { throw new Problem(404, "no-such-flow", "There is no such flow.", { detail: "It was evicted or removed, or is of another replica." }); })();

  const routes = [
    ["GET", "/server", () => ({ version: "0.1.0", revision: "08a4a51", instance: "egret-c6519b", started: new Date(began - 7_260_000).toISOString(), now: new Date().toISOString(), draining: false, generation: 14, listeners: [{ url: "http://127.0.0.1:8888", protocols: ["http", "socks"], tls: false }, { url: "https://localhost:8443", protocols: ["http", "socks"], tls: true, clientAuth: "required" }], console: { url: `http://127.0.0.1:${server.address().port}`, magicHost: "egret.test" }, credentials: [], capture: { default: "Headers", bodyLimitBytes: 1_000_000, redactedHeaders: ["authorization", "cookie", "set-cookie", "proxy-authorization"] }, features: { intercept: true, replay: true, breakpoints: true, changes: true, policy: true }, store: { flows: flows.length, capacity: 200_000, bodyBytes: 314_159_265, bodyCapacityBytes: 2_000_000_000, evicted: 0, persistent: true, ...(flows[0] ? { oldest: flows[0].started } : {}) } })],
    ["GET", "/audit", () => ({ entries: audit.slice(0, 100) })],
    ["GET", "/filter", ({ query }) => {
      try {
        const { say, bodies } = compile(query.get("filter") ?? "");
        return { ok: true, meaning: say, searchesBodies: bodies ?? false };
      } catch (error) {
        if (!(error instanceof FilterError)) throw error;
        return { ok: false, error: clean({ message: error.message, position: error.position, length: error.length, suggestion: error.suggestion }) };
      }
    }],
    ["GET", "/flows", ({ query }) => {
      const at = query.has("cursor") ? JSON.parse(Buffer.from(query.get("cursor"), "base64url")) : { filter: query.get("filter") ?? "", sort: query.get("sort") ?? "-started", until: query.get("until") ?? undefined, offset: Number(query.get("offset") ?? 0) };
      const limit = Number(query.get("limit") ?? 100);
      if (!(limit >= 1 && limit <= 1000)) throw new Problem(400, "bad-request", "limit has to be between 1 and 1000.");
      const stamp = at.until ?? now();
      const found = select(at.filter, at.sort, stamp);
      const page = found.slice(at.offset, at.offset + limit);
      const end = at.offset + page.length;
      return clean({ flows: page, total: found.length, revision: stamp, next: end < found.length ? Buffer.from(JSON.stringify({ ...at, until: stamp, offset: end })).toString("base64url") : undefined });
    }],
    ["DELETE", "/flows", ({ query, role }) => {
      const { test } = compileOr400(query.get("filter") ?? "");
      const gone = flows.filter((flow) => flow.state !== "open" && flow.state !== "held" && test(flow));
      const ids = new Set(gone.map((flow) => flow.id));
      for (const id of ids) byId.delete(id);
      flows.splice(0, flows.length, ...flows.filter((flow) => !ids.has(flow.id)));
      note(role, "clear-flows", query.get("filter") ?? "");
      return { removed: gone.length };
    }],
    ["GET", "/flows/:id", ({ id }) => detail(find(id))],
    ["PATCH", "/flows/:id", ({ id, json, role }) => {
      const flow = { ...find(id) };
      if (json.mark !== undefined) flow.mark = json.mark === "none" ? undefined : json.mark;
      if (json.comment !== undefined) flow.comment = json.comment || undefined;
      byId.set(id, clean(flow));
      flows[flows.findIndex((known) => known.id === id)] = flow;
      note(role, "annotate", id);
      emit("flows", { flows: [flow], gone: [], revision: now() });
      return flow;
    }],
    ["DELETE", "/flows/:id", ({ id }) => {
      const flow = find(id);
      flows.splice(flows.indexOf(flow), 1);
      byId.delete(id);
      emit("flows", { flows: [], gone: [id], revision: now() });
    }],
    ["GET", "/flows/:id/:side/body", ({ id, side, query, response, role }) => {
      const made = body(find(id), side);
      if (!made?.decoded) throw new Problem(404, "not-captured", "This body was not captured.");
      const bytes = query.get("form") === "raw" ? made.raw : made.decoded;
      const offset = Number(query.get("offset") ?? 0);
      note(role, "read-body", id, { detail: side });
      response.writeHead(200, { ...HEADERS, "Content-Type": "application/octet-stream", "Content-Disposition": "attachment", "Content-Security-Policy": "sandbox; default-src 'none'", "Egret-Body-Size": bytes.length });
      response.end(bytes.subarray(offset, query.has("length") ? offset + Number(query.get("length")) : undefined));
      return SENT;
    }],
    ["GET", "/flows/:id/:side/text", ({ id, side, query }) => {
      const made = body(find(id), side);
      if (!made?.decoded) throw new Problem(404, "not-captured", "This body was not captured.");
      const length = Number(query.get("length") ?? 2_097_152);
      return clean({ text: made.decoded.subarray(0, length).toString("utf8"), charset: "utf-8", size: made.decoded.length, truncated: made.decoded.length > length ? "length" : undefined });
    }],
    ["GET", "/flows/:id/messages", ({ id, query }) => {
      const all = messages(find(id));
      const after = Number(query.get("after") ?? 0);
      return { messages: all.filter((message) => message.index > after).slice(0, Number(query.get("limit") ?? 100)), total: all.length, dropped: 0 };
    }],
    ["GET", "/flows/:id/curl", ({ id, response }) => {
      const flow = find(id);
      const quote = (text) => `'${text.replace(/'/g, "'\\''")}'`;
      response.writeHead(200, { ...HEADERS, "Content-Type": "text/plain; charset=utf-8" });
      response.end(`curl -X ${quote(flow.method)} ${quote(flow.target)} \\\n  -H 'accept: application/json'\n`);
      return SENT;
    }],
    ["POST", "/flows/:id/replay", ({ id, json, role }) => {
      const flow = find(id);
      if (flow.treatment === "tunnel") throw new Problem(409, "not-replayable", "A tunnel cannot be sent again.", { detail: "Its bytes were not seen." });
      revision++;
      seq = revision;
      const { mark, comment, ...rest } = flow;
      const again = add({ ...rest, ...(json.edit?.method ? { method: json.edit.method } : {}), id: idOf(seq), seq, started: new Date().toISOString(), replayOf: id, identity: "console" });
      note(role, "replay", id);
      emit("flows", { flows: [again], gone: [], total: flows.length, revision: now() });
      return [202, { id: again.id, notes: [] }];
    }],
    ["GET", "/export/har", ({ query, response, role }) => {
      const chosen = query.get("id") ? query.get("id").split(",").map(find) : select(query.get("filter") ?? "", "started").slice(-1000);
      note(role, "export-har", query.get("id") ?? query.get("filter") ?? "");
      response.writeHead(200, { ...HEADERS, "Content-Type": "application/json", "Content-Disposition": 'attachment; filename="egret.har"' });
      response.end(JSON.stringify({ log: { version: "1.2", creator: { name: "egret", version: "0.1.0" }, entries: chosen.map((flow) => ({ startedDateTime: flow.started, time: flow.totalMs ?? 0, request: { method: flow.method, url: flow.target, httpVersion: flow.downstream, headers: [], queryString: [], cookies: [], headersSize: -1, bodySize: flow.bytesUp }, response: { status: flow.status, statusText: "", httpVersion: flow.downstream, headers: [], cookies: [], content: { size: flow.bytesDown, mimeType: flow.contentType ?? "" }, redirectURL: "", headersSize: -1, bodySize: flow.bytesDown }, cache: {}, timings: { send: 0, wait: flow.totalMs ?? 0, receive: 0 } })) } }));
      return SENT;
    }],
    ["GET", "/events", ({ query, request, response }) => {
      const { test } = compileOr400(query.get("filter") ?? "");
      response.writeHead(200, { ...HEADERS, "Content-Type": "text/event-stream" });
      const stream = { response, test, topics: new Set((query.get("topics") ?? "flows,stats,held,rules").split(",")), push: (entry) => send(stream, entry) };
      const last = request.headers["last-event-id"] ?? query.get("lastEventId");
      const known = history.findIndex((entry) => entry.id === last);
      send(stream, { id: now(), event: "hello", data: { revision: now(), resumed: known >= 0 } });
      if (last && known < 0) send(stream, { id: now(), event: "lost", data: { why: last.startsWith(EPOCH) ? "too-old" : "restarted", revision: now() } });
      if (known >= 0) for (const entry of history.slice(known + 1)) send(stream, entry);
      streams.add(stream);
      request.on("close", () => streams.delete(stream));
      return SENT;
    }],
    ["GET", "/stats", ({ query }) => views.stats(flows, query.get("window") ?? "15m", Number(query.get("edges") ?? 100))],
    ["GET", "/policy", () => views.policy()],
    ["GET", "/policy/audit", () => views.auditDenials(flows)],
    ["POST", "/policy/explain", ({ json }) => {
      try {
        return views.explain(json);
      } catch {
        throw new Problem(400, "bad-request", "This is no URL.", { advice: "Write https://host/path, or host:port for a tunnel." });
      }
    }],
    ["GET", "/policy/suggest", () => views.suggestions(flows)],
    ["GET", "/ca", ({ request }) => views.ca(secure ? `https://${request.headers.host}/api/v1/ca/trust-check` : undefined)],
    ["GET", "/ca/rejections", () => ({ rejections: views.ca().rejections })],
    ["GET", "/breakpoints", () => ({ breakpoints, held: heldList() })],
    ["POST", "/breakpoints", ({ json, role }) => {
      compileOr400(json.filter);
      const point = { enabled: true, timeoutMs: 60_000, onTimeout: "go-on", ...json, id: `b${randomBytes(3).toString("hex")}`, hits: 0 };
      breakpoints.push(point);
      note(role, "add-breakpoint", json.filter);
      return [201, point];
    }],
    ["PUT", "/breakpoints/:id", ({ id, json }) => {
      compileOr400(json.filter);
      breakpoints = breakpoints.map((point) => (point.id === id ? { ...point, ...json } : point));
      return breakpoints.find((point) => point.id === id);
    }],
    ["DELETE", "/breakpoints/:id", ({ id }) => void (breakpoints = breakpoints.filter((point) => point.id !== id))],
    ["GET", "/held", () => ({ held: heldList() })],
    ["GET", "/held/:id", ({ id }) => {
      const entry = heldList().find((known) => known.flow.id === id);
      if (!entry) throw new Problem(409, "not-held", "This flow is held no more.");
      const { request } = detail(byId.get(id));
      return clean({ ...entry, request: { method: request.method, target: request.target, version: request.version, headers: request.headers }, body: { text: "amount=1200&currency=eur", redacted: false } });
    }],
    ["POST", "/held/:id", ({ id, json, role }) => {
      const entry = held.get(id);
      if (!entry) throw new Problem(409, "not-held", "This flow is held no more.");
      held.delete(id);
      const edited = json.request !== undefined || json.response !== undefined;
      const flow = clean({ ...byId.get(id), state: json.action === "drop" ? "failed" : "complete", status: json.action === "drop" ? 403 : 200, reason: json.action === "drop" ? "dropped-at-breakpoint" : undefined, blame: json.action === "drop" ? "policy" : undefined, changed: edited || undefined });
      byId.set(id, flow);
      flows[flows.findIndex((known) => known.id === id)] = flow;
      note(role, "release", id, { detail: json.action });
      emit("held", { held: heldList() });
      emit("flows", { flows: [flow], gone: [], revision: now() });
    }],
    ["GET", "/changes", () => ({ rules: changes })],
    ["POST", "/changes", ({ json, role }) => {
      compileOr400(json.filter);
      const rule = { enabled: true, ...json, id: `c${randomBytes(3).toString("hex")}`, hits: 0, source: "console" };
      changes.push(rule);
      note(role, "add-change", json.name);
      return [201, rule];
    }],
    ["PUT", "/changes/:id", ({ id, json }) => {
      compileOr400(json.filter);
      changes = changes.map((rule) => (rule.id === id ? { ...rule, ...json } : rule));
      return changes.find((rule) => rule.id === id);
    }],
    ["DELETE", "/changes/:id", ({ id }) => void (changes = changes.filter((rule) => rule.id !== id))],
    ["DELETE", "/session", ({ cookie }) => void sessions.delete(cookie)],
  ].map(([method, path, act]) => ({ method, act, pattern: new RegExp(`^${path.replace(":id", "(?<id>[0-9a-z]+)").replace(":side", "(?<side>request|response)")}$`) }));

  const handle = async (request, response) => {
    const url = new URL(request.url, "http://console.invalid");
    try {
      if (!url.pathname.startsWith("/api/v1/")) return serveFile(url, request, response);
      const path = url.pathname.slice(7);
      if (path === "/ca/trust-check") {
        response.writeHead(204, { ...HEADERS, "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin" });
        return response.end();
      }
      const origin = request.headers.origin;
      if (origin && new URL(origin).host !== request.headers.host) throw new Problem(403, "cross-origin", "Another site sent this.");
      const text = await read(request);
      const json = text ? JSON.parse(text) : {};
      const cookie = /egret_console=([0-9a-f]+)/.exec(request.headers.cookie ?? "")?.[1];
      if (path === "/session" && request.method === "POST") {
        const good = json.token === token || json.token === "read-only" || json.password === "heron";
        if (!good) {
          note("none", "login-refused");
          throw new Problem(401, "credentials-refused", "That is not the token.", { detail: "The proxy knows another one.", advice: "Copy it from the lines that Egret wrote when it started." });
        }
        const made = randomBytes(16).toString("hex");
        const session = { role: json.token === "read-only" ? "read-only" : "admin", csrf: randomBytes(16).toString("hex") };
        sessions.set(made, session);
        note(session.role, "login");
        return answer(response, 200, session, { "Set-Cookie": `egret_console=${made}; HttpOnly; SameSite=Strict; Path=/` });
      }
      const bearer = request.headers.authorization === `Bearer ${token}`;
      const session = bearer ? { role: "admin", csrf: "bearer" } : sessions.get(cookie);
      if (!session) throw new Problem(401, "unauthenticated", "A token is needed.", path === "/session" ? { methods: ["token", "password"] } : {});
      if (path === "/session" && request.method === "GET") return answer(response, 200, session);
      const changing = request.method !== "GET" && request.method !== "HEAD";
      if (changing && !bearer && request.headers["x-csrf-token"] !== session.csrf) throw new Problem(403, "csrf", "The token against forged requests is missing.");
      if (changing && session.role === "read-only" && path !== "/session" && path !== "/policy/explain") throw new Problem(403, "read-only", "This session may look, not change.");
      // Pictures for the manual are of a quiet day.
      const calm = (value) => (tame && value !== undefined ? JSON.parse(JSON.stringify(value).replaceAll(JSON.stringify(EVIL).slice(1, -1), "")) : value);
      for (const route of routes) {
        const match = route.method === request.method && route.pattern.exec(path);
        if (!match) continue;
        const result = route.act({ ...match.groups, query: url.searchParams, json, request, response, role: session.role, cookie });
        if (result === SENT) return;
        if (Array.isArray(result)) return answer(response, ...result);
        return result === undefined ? answer(response, 204) : answer(response, 200, calm(result));
      }
      throw new Problem(404, "no-such-path", "There is nothing here.");
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      const problem = error instanceof Problem ? error.body : { status: 500, code: "internal-error", title: "The mock failed.", detail: String(error) };
      answer(response, problem.status, problem, { "Content-Type": "application/problem+json" });
    }
  };

  const serveFile = (url, request, response) => {
    if (url.searchParams.has("token") && url.pathname === "/" && url.searchParams.get("token") === token) {
      const made = randomBytes(16).toString("hex");
      sessions.set(made, { role: "admin", csrf: randomBytes(16).toString("hex") });
      response.writeHead(303, { Location: "/", "Set-Cookie": `egret_console=${made}; HttpOnly; SameSite=Strict; Path=/` });
      return response.end();
    }
    const path = normalize(join(DIST, url.pathname === "/" ? "index.html" : url.pathname));
    if (/^\/ca(-bundle)?\.(pem|crt|p12)$/.test(url.pathname)) {
      response.writeHead(200, { ...HEADERS, "Content-Type": "application/octet-stream" });
      return response.end("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    }
    if (!path.startsWith(DIST) || !existsSync(path) || !statSync(path).isFile()) return answer(response, 404, { title: "There is nothing here." });
    response.writeHead(200, { ...HEADERS, "Content-Security-Policy": CSP, "Content-Type": { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" }[extname(path)] ?? "application/octet-stream" });
    response.end(readFileSync(path));
  };

  // One port for HTTP and TLS, told apart by the first byte, as the trust check needs.
  const app = http.createServer(handle);
  const secure = makeCertificate();
  const secureApp = secure && tls.createServer(secure, (socket) => app.emit("connection", socket));
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.once("data", (first) => {
      socket.pause();
      socket.unshift(first);
      (first[0] === 0x16 && secureApp ? secureApp : app).emit("connection", socket);
      process.nextTick(() => socket.resume());
    });
  });
  secureApp?.on("tlsClientError", () => {});
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${server.address().port}`;
  return {
    address, token, flows, hold, emit, history,
    /** Ends all streams, as a network that fails does. */
    cut: () => streams.forEach((stream) => stream.response.destroy()),
    stop: async () => {
      timers.forEach(clearInterval);
      sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const SENT = Symbol("the answer was written");
const HEADERS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin" };

function answer(response, status, value, headers = {}) {
  response.writeHead(status, { ...HEADERS, ...(value === undefined ? {} : { "Content-Type": "application/json" }), ...headers });
  response.end(value === undefined ? undefined : JSON.stringify(value));
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function sum(list, key) {
  return list.reduce((total, entry) => total + entry[key], 0);
}

/** A certificate that no browser trusts. Without openssl there is none, and no trust check. */
function makeCertificate() {
  const directory = mkdtempSync(join(tmpdir(), "egret-mock-"));
  try {
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=Egret mock", "-addext", "subjectAltName=IP:127.0.0.1"], { cwd: directory, stdio: "ignore" });
    return { key: readFileSync(join(directory, "key.pem")), cert: readFileSync(join(directory, "cert.pem")) };
  } catch {
    return undefined;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { port: { type: "string", default: "8081" }, flows: { type: "string", default: "100000" }, rate: { type: "string", default: "25" }, empty: { type: "boolean", default: false } } });
  const mock = await start({ port: Number(values.port), flows: Number(values.flows), rate: values.empty ? 0 : Number(values.rate), empty: values.empty, token: createHash("sha256").update(String(process.pid)).digest("hex").slice(0, 24) });
  console.log(`  console   ${mock.address}/?token=${mock.token}`);
}
