// What stands behind one row: heads, bodies, messages, TLS, the policy's reasons.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

import { clean, EVIL, REASONS, round } from "./data.mjs";

const sha = (text) => createHash("sha256").update(text).digest("hex");
const evil = (flow) => flow.host.includes("<script>");

// A small picture, made here: a PNG of one colour over another.
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAM0lEQVR4nGP4z8DAgAX/h9L/GZBFoGIMyAJQNYwoAhAFjMgCUAWMyAJQBYzIAlAFjKRoAgAmJyJfJ5oyNQAAAABJRU5ErkJggg==",
  "base64",
);

const cert = (subject, issuer, days, more = {}) =>
  clean({
    subject,
    issuer,
    serial: sha(subject).slice(0, 20),
    notBefore: new Date(Date.now() - 86_400_000 * 20).toISOString(),
    notAfter: new Date(Date.now() + 86_400_000 * days).toISOString(),
    key: "ECDSA P-256",
    signature: "ecdsa-with-SHA256",
    sha256: sha(subject + issuer),
    pem: `-----BEGIN CERTIFICATE-----\n${Buffer.from(sha(subject)).toString("base64")}\n-----END CERTIFICATE-----\n`,
    ...more,
  });

export function chains(flow) {
  const name = flow.host;
  return {
    downstreamTls: clean({
      version: "1.3", cipherSuite: "TLS13_AES_128_GCM_SHA256", group: "X25519", sni: name, alpn: flow.downstream === "HTTP/2" ? "h2" : "http/1.1", offeredAlpn: ["h2", "http/1.1"], offeredVersions: ["1.3", "1.2"], resumed: false,
      ja4: "t13d1516h2_8daaf6152771_02713d6af862", minted: flow.treatment === "intercept" || undefined,
      chain: flow.treatment === "intercept" ? [cert(`CN=${name}`, "CN=Egret CA (laptop), O=Egret", 6, { sans: [`DNS:${name}`] }), cert("CN=Egret CA (laptop), O=Egret", "CN=Egret CA (laptop), O=Egret", 3600, { ca: true })] : undefined,
      handshakeMs: 1.9,
    }),
    upstreamTls: flow.treatment !== "intercept" ? undefined : clean({
      version: "1.3", cipherSuite: "TLS13_AES_256_GCM_SHA384", group: "X25519MLKEM768", sni: name, alpn: flow.upstream === "HTTP/2" ? "h2" : "http/1.1", offeredAlpn: ["h2", "http/1.1"], resumed: false, stapledOcsp: "good",
      verified: flow.reason !== "upstream-certificate-invalid", verifyError: flow.reason === "upstream-certificate-invalid" ? `The certificate of ${name} ended on 2026-11-02: it is not valid any more.` : undefined,
      chain: [
        cert(`CN=${name}`, "CN=R11, O=Let's Encrypt, C=US", flow.reason ? -19 : 61, { sans: [`DNS:${name}`, `DNS:*.${name}`, ...(evil(flow) ? [`DNS:${EVIL}`] : [])] }),
        cert("CN=R11, O=Let's Encrypt, C=US", "CN=ISRG Root X1, O=Internet Security Research Group, C=US", 480, { ca: true, key: "RSA 2048" }),
        cert("CN=ISRG Root X1, O=Internet Security Research Group, C=US", "CN=ISRG Root X1, O=Internet Security Research Group, C=US", 3400, { ca: true, key: "RSA 4096" }),
      ],
      handshakeMs: 21.4,
    }),
  };
}

/** The bytes of a body: decoded, as sent, and what is known of it. */
export function body(flow, side) {
  if (flow.capture !== "Bodies") return undefined;
  const json = (value) => ({ kind: "json", contentType: "application/json; charset=utf-8", data: Buffer.from(JSON.stringify(value).replace(/"number":(\d+)/g, '"number":900719925474099$1')) });
  let made;
  if (evil(flow)) {
    made = side === "request" ? json({ [EVIL]: EVIL, list: [EVIL] }) : { kind: "html", contentType: `text/html${EVIL}`, data: Buffer.from(`<!doctype html><html><body onload="window.__pwned=3">${EVIL}<svg onload="window.__pwned=4"></svg></body></html>\n`) };
  } else if (side === "request") {
    if (flow.kind === "grpc") made = { kind: "grpc", contentType: "application/grpc+proto", data: Buffer.from([0, 0, 0, 0, 5, 10, 3, 97, 98, 99]) };
    else if (flow.method !== "POST") return { kind: "empty", size: 0, captured: 0 };
    else if (/payment_intents|refunds/.test(flow.path)) made = { kind: "form", contentType: "application/x-www-form-urlencoded", data: Buffer.from("amount=4200&currency=eur&automatic_payment_methods%5Benabled%5D=true&metadata%5Border%5D=8731&description=Blue+shoes%2C+size+42") };
    else if (/soap/.test(flow.path)) made = { kind: "xml", contentType: "text/xml", data: Buffer.from("<?xml version=\"1.0\"?>\n<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">\n  <soap:Body><GetCustomer><id>8731</id></GetCustomer></soap:Body>\n</soap:Envelope>\n") };
    else made = json({ query: "query Order($id: ID!) { order(id: $id) { id total lines { sku quantity } } }", variables: { id: "8731" }, operationName: "Order" });
  } else if (/png|webp/.test(flow.contentType ?? "")) made = { kind: "image", contentType: flow.contentType, data: PNG, image: "image/png", plain: true };
  else if (/font|debian/.test(flow.contentType ?? "")) made = { kind: "binary", contentType: flow.contentType, plain: true, data: Buffer.from(Array.from({ length: 40_000 }, (_, i) => (i * 31 + (i >> 5)) & 255)) };
  else if (flow.kind === "grpc") made = { kind: "grpc", contentType: flow.contentType, plain: true, data: Buffer.from([0, 0, 0, 0, 5, 10, 3, 97, 98, 99]) };
  else if (flow.kind === "events") made = { kind: "events", contentType: "text/event-stream", plain: true, data: Buffer.from("event: order\ndata: {\"id\":8731}\n\n") };
  else if (/html/.test(flow.contentType ?? "")) made = { kind: "html", contentType: flow.contentType, data: Buffer.from(`<!DOCTYPE html>\n<html><head><title>Links for requests</title></head>\n<body><h1>Links</h1>\n${Array.from({ length: 40 }, (_, i) => `<a href="https://files.pythonhosted.org/packages/requests-2.${i}.0.tar.gz">requests-2.${i}.0.tar.gz</a><br>`).join("\n")}\n</body></html>\n`) };
  else if (/xml/.test(flow.contentType ?? "")) made = { kind: "xml", contentType: flow.contentType, data: Buffer.from("<?xml version=\"1.0\"?>\n<Customer><id>8731</id><name>Ada</name></Customer>\n") };
  else if (flow.reason) made = { kind: "text", contentType: "text/plain; charset=utf-8", plain: true, data: Buffer.from(`Egret refused this: ${flow.reason}\n\n${REASONS[flow.reason]?.[2]}\n${REASONS[flow.reason]?.[3]}\n\nflow ${flow.id}\n`) };
  else if (flow.status === 204 || flow.status === 304) return { kind: "empty", size: 0, captured: 0 };
  else made = json({
    object: "list", has_more: true, url: flow.path,
    data: Array.from({ length: 12 }, (_, i) => ({ id: `ord_${8700 + i}`, number: 10 + i, total: { amount: 4200 + i * 10, currency: "EUR" }, paid: i % 3 !== 0, note: i === 2 ? "Deliver after 18:00 — ring twice 🛎" : null, lines: [{ sku: "SHOE-42-BLUE", quantity: 1 + (i % 2) }], created: "2026-11-21T12:36:29Z" })),
  });
  const packed = made.plain || made.data.length < 60 || evil(flow) ? undefined : gzipSync(made.data);
  return clean({
    ...made, raw: packed ?? made.data, decoded: made.data, size: (packed ?? made.data).length, captured: (packed ?? made.data).length,
    decodedSize: packed ? made.data.length : undefined, encodings: packed ? ["gzip"] : undefined, sha256: sha(made.data),
  });
}

export function bodyInfo(made) {
  if (!made) return undefined;
  const { data, raw, decoded, plain, ...info } = made;
  return info;
}

export function trace(flow) {
  const refused = flow.blame === "policy";
  const why = {
    intercept: `Rule ${flow.rule} says tls: Intercept for ${flow.host}.`,
    tunnel: "No rule says tls: Intercept for this host, so its bytes stay unseen.",
    forward: "Plain HTTP: there is no TLS to end.",
    local: "Egret answered by itself; nothing was sent anywhere.",
  };
  const to = `${flow.host}:${flow.port}`;
  const steps = [
    { stage: "identity", name: "identity", outcome: "passed", why: `The client is ${flow.identity}, proven by ${flow.proof}.` },
    { stage: "cluster", policy: "guardrails", name: "no-trackers", action: "Deny", mode: "Enforce", outcome: flow.reason === "denied-by-rule" ? "decided" : "no-match", why: flow.reason === "denied-by-rule" ? "The host is in the list “trackers”." : "The host is not in the list “trackers”.", conditions: [{ what: "hosts", wanted: "@trackers (48,211 names)", got: flow.host, holds: flow.reason === "denied-by-rule" }] },
    flow.auditDenied && { stage: "cluster", policy: "phase-out", name: "no-plain-http", action: "Deny", mode: "Audit", outcome: "audited", why: "Would be denied: plain HTTP to a host outside the cluster.", conditions: [{ what: "when", wanted: "request.scheme == 'http'", got: "http", holds: true }] },
    flow.policy && !refused && { stage: "cluster", policy: flow.policy, name: flow.rule ?? "rule", action: "Allow", mode: "Enforce", outcome: "decided", why: `${to} is allowed for ${flow.identity}.`, conditions: [{ what: "from", wanted: "namespaces payments, shop, ci", got: flow.identity, holds: true }, { what: "hosts", wanted: `*.${flow.host.split(".").slice(-2).join(".")}, ${flow.host}`, got: flow.host, holds: true }, { what: "ports", wanted: "80, 443, 8080", got: String(flow.port), holds: true }, ...(flow.path ? [{ what: "methods", wanted: "GET, POST, DELETE", got: flow.method, holds: true }] : [])] },
    flow.reason === "denied-by-default" && { stage: "default", name: "default", action: "Deny", outcome: "decided", why: "No rule allows this destination, and the default is Deny." },
    { stage: "guard", name: "destination guard", outcome: flow.reason === "denied-by-guard" ? "decided" : refused ? "not-reached" : "passed", action: flow.reason === "denied-by-guard" ? "Deny" : undefined, why: flow.reason === "denied-by-guard" ? "169.254.169.254 is a metadata address." : refused ? "The flow was denied before." : "The address is public." },
    { stage: "tls", name: "treatment", outcome: refused ? "not-reached" : "decided", why: why[flow.treatment] },
  ].filter(Boolean).map(clean);
  return clean({ decision: refused ? "deny" : "allow", treatment: flow.treatment, treatmentWhy: why[flow.treatment], reason: refused ? flow.reason : undefined, policy: flow.policy, rule: flow.rule, capture: flow.capture, message: refused ? "Data may leave only to known partners." : undefined, contact: refused ? "#platform-egress" : undefined, auditDenied: flow.auditDenied, identity: flow.identity, destination: to, steps, complete: false });
}

export function detail(flow) {
  const h = (name, value) => ({ name, value });
  const bad = evil(flow);
  const seen = flow.treatment !== "tunnel" && flow.capture !== "None";
  const total = flow.totalMs ?? 60_000;
  const refused = flow.blame === "policy";
  const phases = [];
  let at = 0;
  const phase = (name, ms) => {
    phases.push({ name, startMs: round(at), ms: round(ms) });
    at += ms;
  };
  phase("gate", 0.12);
  if (flow.state === "held") phase("held", Math.max(1, Date.now() - Date.parse(flow.started)));
  else if (!refused) {
    if (flow.seq % 3 === 0) {
      phase("dns", Math.min(6, total * 0.08));
      phase("connect", Math.min(24, total * 0.14));
      if (flow.treatment === "intercept") phase("tls", Math.min(31, total * 0.2));
    }
    if (flow.treatment === "tunnel") phase("tunnel", Math.max(0, total - at));
    else {
      if (flow.bytesUp > 0) phase("send", total * 0.02);
      phase("wait", Math.max(0, total - at) * 0.7);
      phase("receive", Math.max(0, total - at));
    }
  }
  const tls = chains(flow);
  const requestBody = bodyInfo(body(flow, "request"));
  const responseBody = bodyInfo(body(flow, "response"));
  return clean({
    ...flow,
    detail: flow.reason === "upstream-certificate-invalid" ? `the certificate of ${flow.host} ended on 2026-11-02` : flow.reason === "denied-by-rule" ? `rule \`no-trackers\` denies ${flow.host}:${flow.port}` : flow.reason ? `${flow.host}:${flow.port}: ${flow.reason}` : undefined,
    what: flow.reason && REASONS[flow.reason]?.[2],
    advice: flow.reason && REASONS[flow.reason]?.[3],
    contact: refused ? "#platform-egress" : undefined,
    request: !seen ? undefined : clean({
      method: flow.method, target: flow.target, version: flow.downstream,
      headers: bad
        ? [h("host", flow.host), h(`x-${EVIL}`, EVIL), h("cookie", EVIL), { name: "x-bytes", base64: Buffer.from([0xff, 0xfe, 0x3c, 0x62, 0x3e]).toString("base64") }]
        : [h("host", flow.host), h("user-agent", flow.identity.includes("ci") ? "git/2.47.1" : "checkout/3.12 (python-httpx/0.28.1)"), h("accept", "application/json"), h("accept-encoding", "gzip, br, zstd"), { name: "authorization", value: "[redacted]", redacted: true }, h("x-request-id", sha(flow.id).slice(0, 32)), ...(flow.method === "POST" ? [h("content-type", body(flow, "request")?.contentType ?? "application/json"), h("content-length", String(requestBody?.size ?? 0))] : []), h("traceparent", `00-${sha(flow.id).slice(0, 32)}-${sha(flow.id).slice(0, 16)}-01`)],
      body: requestBody,
    }),
    response: !seen || flow.status === 0 ? undefined : clean({
      status: flow.status, statusText: flow.status === 200 ? "OK" : refused ? `egret ${flow.reason} ${flow.id}` : bad ? EVIL : "", version: flow.upstream ?? flow.downstream, fromEgret: refused || undefined,
      interim: flow.seq % 50 === 0 ? [{ status: 103, headers: [h("link", "</style.css>; rel=preload; as=style")] }] : undefined,
      headers: bad ? [h("content-type", flow.contentType), h("set-cookie", EVIL), h("server", EVIL)] : [h("date", new Date(flow.started).toUTCString()), ...(flow.contentType ? [h("content-type", flow.contentType)] : []), ...(responseBody?.encodings ? [h("content-encoding", "gzip")] : []), h("cache-control", "private, max-age=0"), h("strict-transport-security", "max-age=63072000; includeSubDomains; preload"), { name: "set-cookie", value: "[redacted]", redacted: true }, h("server", "nginx"), ...(refused ? [h("proxy-status", `egret-c6519b; error=http_request_denied; details="${flow.reason}"`)] : [])],
      trailers: flow.kind === "grpc" ? [h("grpc-status", String(flow.grpcStatus)), h("grpc-message", flow.grpcStatus ? "connection refused" : "")] : undefined,
      body: responseBody,
    }),
    phases, dialled: refused ? undefined : `203.0.113.${flow.seq % 250}:${flow.port}`, route: refused ? undefined : flow.seq % 40 === 0 ? "parent:corporate" : "direct", reused: !refused && flow.seq % 3 !== 0,
    listener: "127.0.0.1:8888", userAgent: seen ? (bad ? EVIL : "checkout/3.12") : undefined, traceparent: seen && !bad ? `00-${sha(flow.id).slice(0, 32)}-${sha(flow.id).slice(0, 16)}-01` : undefined,
    ...(flow.scheme === "http" || flow.kind === "udp" || refused ? {} : clean(tls)), trace: trace(flow), changes: flow.changed ? ["slow bank"] : undefined,
  });
}

export function messages(flow) {
  const bad = evil(flow);
  return Array.from({ length: flow.messages ?? 0 }, (_, i) => {
    const base = { index: i + 1, atMs: round(i * 41.7 + 12), direction: i % 4 === 0 ? "up" : "down" };
    if (bad) return { ...base, type: "text", size: EVIL.length, text: EVIL };
    if (flow.kind === "grpc") {
      const text = Buffer.from(`SHOE-${40 + (i % 8)}-BLUE`);
      const inner = Buffer.concat([Buffer.from([0x0a, text.length]), text, Buffer.from([0x10, (i % 9) + 1])]);
      const data = Buffer.concat([Buffer.from([0x0a, 0x08]), Buffer.from("ord_8731"), Buffer.from([0x12, inner.length]), inner, Buffer.from([0x18, 0x01])]);
      return { ...base, type: "grpc", size: data.length, base64: data.toString("base64") };
    }
    if (flow.kind === "events") return { ...base, direction: "down", type: "event", event: "order", size: 24, text: `{"id":${8700 + i},"state":"paid"}` };
    if (i % 60 === 7) return { ...base, type: i % 120 === 7 ? "ping" : "pong", size: 4, base64: Buffer.from("beat").toString("base64") };
    if (i % 25 === 3) return { ...base, type: "binary", size: 96, base64: Buffer.from(Array.from({ length: 96 }, (_, j) => (i * j) & 255)).toString("base64") };
    const text = i === 0 ? '{"op":"subscribe","channels":["trades.EURUSD","book.EURUSD"]}' : JSON.stringify({ ch: "trades.EURUSD", seq: 100200 + i, px: (1.0834 + (i % 17) / 10_000).toFixed(5), qty: (i % 9) * 1000, side: i % 2 ? "buy" : "sell" });
    return { ...base, type: "text", size: text.length, text, compressed: true };
  });
}
