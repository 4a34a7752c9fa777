// Figures, policies, suggestions, the CA: what is not a flow.
import { clean, EVIL, REASONS, round } from "./data.mjs";

export function stats(flows, window, edgeLimit) {
  const minutes = { "5m": 5, "15m": 15, "1h": 60, "6h": 360 }[window];
  const now = Date.now();
  const stepMs = (minutes * 60_000) / 120;
  const from = now - minutes * 60_000;
  const recent = flows.filter((flow) => Date.parse(flow.started) >= from);
  const buckets = Array.from({ length: 120 }, (_, i) => ({ t: Math.round(from + (i + 1) * stepMs), n: 0, e: 0, r: 0, u: 0, d: 0, ms: [] }));
  const edges = new Map();
  const reasons = new Map();
  const treatments = {};
  const statusClasses = {};
  const totals = { flows: 0, errors: 0, refusals: 0, auditDenials: 0, bytesUp: 0, bytesDown: 0, open: 0, tunnelsOpen: 0 };
  const totalMs = [];
  for (const flow of recent) {
    const refused = flow.blame === "policy";
    const failed = flow.reason !== undefined && !refused;
    const bucket = buckets[Math.min(119, Math.floor((Date.parse(flow.started) - from) / stepMs))];
    bucket.n++;
    bucket.e += failed ? 1 : 0;
    bucket.r += refused ? 1 : 0;
    bucket.u += flow.bytesUp;
    bucket.d += flow.bytesDown;
    if (flow.totalMs !== undefined && flow.kind === "http") bucket.ms.push(flow.totalMs);
    if (flow.totalMs !== undefined) totalMs.push(flow.totalMs);
    totals.flows++;
    totals.errors += failed ? 1 : 0;
    totals.refusals += refused ? 1 : 0;
    totals.auditDenials += flow.auditDenied ? 1 : 0;
    totals.bytesUp += flow.bytesUp;
    totals.bytesDown += flow.bytesDown;
    if (flow.state === "open") {
      totals.open++;
      if (flow.kind === "tunnel") totals.tunnelsOpen++;
    }
    treatments[flow.treatment] = (treatments[flow.treatment] ?? 0) + 1;
    const klass = flow.status ? `${Math.floor(flow.status / 100)}xx` : "none";
    statusClasses[klass] = (statusClasses[klass] ?? 0) + 1;
    const key = `${flow.identity}\n${flow.host}:${flow.port}`;
    const edge = edges.get(key) ?? { identity: flow.identity, proof: flow.proof, destination: `${flow.host}:${flow.port}`, flows: 0, errors: 0, refusals: 0, bytesUp: 0, bytesDown: 0, intercepted: 0, p50: round(flow.totalMs ?? 0) };
    edge.flows++;
    edge.errors += failed ? 1 : 0;
    edge.refusals += refused ? 1 : 0;
    edge.bytesUp += flow.bytesUp;
    edge.bytesDown += flow.bytesDown;
    edge.intercepted += flow.treatment === "intercept" ? 1 : 0;
    edges.set(key, edge);
    if (flow.reason) {
      const reason = reasons.get(flow.reason) ?? { code: flow.reason, blame: flow.blame, what: REASONS[flow.reason]?.[2], count: 0, lastSeen: flow.started, lastFlow: flow.id };
      reason.count++;
      if (flow.started > reason.lastSeen) Object.assign(reason, { lastSeen: flow.started, lastFlow: flow.id });
      reasons.set(flow.reason, reason);
    }
  }
  const q = (list, p) => round(list[Math.min(list.length - 1, Math.floor(list.length * p))] ?? 0);
  totalMs.sort((a, b) => a - b);
  const latency = [["dns", 0.02], ["connect", 0.09], ["tls", 0.14], ["client_tls", 0.01], ["first_byte", 0.6], ["total", 1]].map(([phase, share]) => ({ phase, count: Math.round(recent.length * (phase === "total" ? 1 : 0.34)), p50: round(q(totalMs, 0.5) * share), p90: round(q(totalMs, 0.9) * share * 0.5), p99: round(q(totalMs, 0.99) * share * 0.3) }));
  const series = buckets.map((b) => {
    b.ms.sort((x, y) => x - y);
    const per = (n) => Math.round((n * 1e5) / stepMs) / 100;
    return clean({ t: b.t, flows: per(b.n), errors: per(b.e), refusals: per(b.r), bytesUp: per(b.u), bytesDown: per(b.d), p50: b.ms.length ? q(b.ms, 0.5) : undefined, p90: b.ms.length ? q(b.ms, 0.9) : undefined, p99: b.ms.length ? q(b.ms, 0.99) : undefined, open: totals.open });
  });
  const sorted = [...edges.values()].sort((a, b) => b.flows - a.flows);
  return { now: new Date(now).toISOString(), window, stepMs, totals, series, edges: sorted.slice(0, edgeLimit), otherEdges: Math.max(0, sorted.length - edgeLimit), reasons: [...reasons.values()].sort((a, b) => b.count - a.count), latency, treatments, statusClasses };
}

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

export function policy() {
  return {
    generation: 14, loaded: ago(5400), source: "/etc/egret/egret.yaml", default: "Deny", defaultHits: 1841,
    notes: ["guardrails/old-mirror is shadowed by platform/packages: it can never match.", "people/wide: `*.com` matches example.com and not www.example.com; `**.com` would."],
    policies: [
      { name: "guard", kind: "guard", mode: "Enforce", hits: 912, rules: [{ name: "metadata", action: "Deny", to: ["169.254.169.254", "fd00:ec2::254"], hits: 884, lastHit: ago(4), perMinute: 7.2 }, { name: "loopback", action: "Deny", to: ["127.0.0.0/8", "::1"], hits: 28, lastHit: ago(8800) }, { name: "itself", action: "Deny", to: ["the proxy's own listeners"], hits: 0 }] },
      { name: "guardrails", kind: "ClusterEgressPolicy", priority: 1000, mode: "Enforce", contact: "#platform-egress", hits: 2980, rules: [{ name: "no-trackers", action: "Deny", to: ["@trackers"], toMore: 48211, reason: "Data may leave only to known partners.", hits: 2968, lastHit: ago(1), perMinute: 24, line: "egret.yaml:18" }, { name: "old-mirror", action: "Deny", to: ["mirror.example.org"], hits: 0, line: "egret.yaml:24" }, { name: "inside", action: "Pass", to: ["**.svc.cluster.local"], hits: 12, lastHit: ago(610), line: "egret.yaml:27" }] },
      { name: "phase-out", kind: "ClusterEgressPolicy", priority: 800, mode: "Audit", contact: "#platform-egress", hits: 1904, rules: [{ name: "no-plain-http", action: "Deny", conditions: ["when: request.scheme == 'http' && !destination.internal"], hits: 1904, auditDenials: 1904, lastHit: ago(3), perMinute: 15.5, line: "egret.yaml:36" }] },
      { name: "platform", kind: "ClusterEgressPolicy", priority: 500, mode: "Enforce", from: ["namespaces: payments, shop, ci, ml, search", "SPIFFE: spiffe://corp.example/**"], hits: 79112, rules: [
        { name: "payments-api", action: "Allow", to: ["api.stripe.com:443"], conditions: ["methods: GET, POST, DELETE", "paths: /v1/**, /v2/**"], tls: "Intercept", capture: "Bodies", rateLimit: "200 requests/s by identity", hits: 15660, lastHit: ago(0), perMinute: 126, line: "egret.yaml:52" },
        { name: "packages", action: "Allow", to: ["pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "deb.debian.org"], conditions: ["methods: GET, HEAD"], tls: "Intercept", capture: "Headers", hits: 23100, lastHit: ago(0), perMinute: 186, line: "egret.yaml:61" },
        { name: "developer-tools", action: "Allow", to: ["**.github.com", "github.com", "**.docker.io"], tls: "Tunnel", hits: 29870, lastHit: ago(0), perMinute: 240, line: "egret.yaml:70" },
        { name: "known-partners", action: "Allow", to: ["@partners"], toMore: 132, tls: "Intercept", capture: "Bodies", hits: 10482, lastHit: ago(1), perMinute: 84, line: "egret.yaml:77" },
      ] },
      { name: "people", kind: "ClusterEgressPolicy", priority: 400, mode: "Enforce", from: ["groups: engineering, support", "users: alice, bob"], hits: 7810, rules: [{ name: "wide", action: "Allow", to: ["*.com", "*.org", "*.net", "*.example"], conditions: ["when: request.time.getHours() >= 6"], tls: "Tunnel", hits: 7810, lastHit: ago(2), perMinute: 62, line: "egret.yaml:90" }] },
      { name: "sync", namespace: "support", kind: "EgressPolicy", mode: "Enforce", from: ["pods: app=zendesk-sync"], hits: 402, rules: [{ name: `${EVIL}`, action: "Allow", to: ["api.zendesk.example"], hits: 402, lastHit: ago(60), perMinute: 3.2 }] },
    ],
  };
}

export function auditDenials(flows) {
  const groups = new Map();
  for (const flow of flows) {
    if (!flow.auditDenied) continue;
    const key = `${flow.identity} ${flow.host}`;
    const group = groups.get(key) ?? { policy: "phase-out", rule: "no-plain-http", identity: flow.identity, proof: flow.proof, destination: `${flow.host}:${flow.port}`, count: 0, firstSeen: flow.started, lastSeen: flow.started, lastFlow: flow.id };
    group.count++;
    if (flow.started > group.lastSeen) Object.assign(group, { lastSeen: flow.started, lastFlow: flow.id });
    groups.set(key, group);
  }
  return { denials: [...groups.values()].sort((a, b) => b.count - a.count).slice(0, 200) };
}

export function explain({ method = "GET", url, as = {} }) {
  const target = /^https?:/.test(url) ? new URL(url) : new URL(`tunnel://${url}`);
  const who = as.user ?? as.certificate ?? (as.namespace && `${as.namespace}/${as.serviceAccount ?? "default"}`) ?? as.client ?? "10.42.0.1";
  const host = target.hostname;
  const port = target.port || (target.protocol === "http:" ? "80" : "443");
  const stripe = host === "api.stripe.com";
  const payments = as.namespace === "payments" || !as.user;
  const allow = stripe && payments;
  return {
    decision: allow ? "allow" : "deny", treatment: allow ? "intercept" : "local", treatmentWhy: allow ? "Rule payments-api says tls: Intercept for api.stripe.com." : "A refusal is answered by Egret itself.", ...(allow ? { policy: "platform", rule: "payments-api", capture: "Bodies" } : { reason: "denied-by-default", message: "Data may leave only to known partners.", contact: "#platform-egress" }), identity: who, destination: `${host}:${port}`,
    steps: [
      { stage: "identity", name: "identity", outcome: "passed", why: `Asked as ${who}.` },
      { stage: "cluster", policy: "guardrails", name: "no-trackers", action: "Deny", mode: "Enforce", outcome: "no-match", why: "The host is not in the list “trackers”.", conditions: [{ what: "hosts", wanted: "@trackers (48,211 names)", got: host, holds: false }] },
      { stage: "cluster", policy: "phase-out", name: "no-plain-http", action: "Deny", mode: "Audit", outcome: target.protocol === "http:" ? "audited" : "no-match", why: target.protocol === "http:" ? "Would be denied." : "The scheme is not http.", conditions: [{ what: "when", wanted: "request.scheme == 'http' && !destination.internal", got: target.protocol.replace(":", ""), holds: target.protocol === "http:" }] },
      { stage: "cluster", policy: "platform", name: "payments-api", action: "Allow", mode: "Enforce", outcome: allow ? "decided" : target.protocol === "tunnel:" && stripe ? "needs-http" : "no-match", why: allow ? "All conditions hold." : stripe ? "The caller is not of these namespaces." : "The host is another.", conditions: [{ what: "from", wanted: "namespaces: payments, shop, ci, ml, search", got: who, holds: payments }, { what: "hosts", wanted: "api.stripe.com:443", got: `${host}:${port}`, holds: stripe }, { what: "methods", wanted: "GET, POST, DELETE", got: method, holds: ["GET", "POST", "DELETE"].includes(method) }] },
      { stage: "cluster", policy: "platform", name: "packages", action: "Allow", mode: "Enforce", outcome: allow ? "not-reached" : "no-match", why: allow ? "It was decided before." : "The host is another." },
      ...(allow ? [{ stage: "guard", name: "destination guard", outcome: "passed", why: "The name is resolved when it is dialled; public addresses pass." }] : [{ stage: "default", name: "default", action: "Deny", outcome: "decided", why: "No rule allows this destination, and the default is Deny." }]),
    ],
    complete: true,
  };
}

export function suggestions(flows) {
  const by = new Map();
  for (const flow of flows.slice(-20_000)) {
    if (flow.reason) continue;
    const entry = by.get(flow.identity) ?? { identity: flow.identity, proof: flow.proof, flows: 0, hosts: new Map() };
    entry.flows++;
    const host = entry.hosts.get(flow.host) ?? { host: flow.host, ports: new Set(), count: 0, lastSeen: flow.started };
    host.ports.add(flow.port);
    host.count++;
    host.lastSeen = flow.started;
    entry.hosts.set(flow.host, host);
    by.set(flow.identity, entry);
  }
  return {
    suggestions: [...by.values()].sort((a, b) => b.flows - a.flows).slice(0, 40).map((entry) => {
      const destinations = [...entry.hosts.values()].sort((a, b) => b.count - a.count).map((host) => ({ ...host, ports: [...host.ports] }));
      const yaml = `apiVersion: egret.dev/v1\nkind: ClusterEgressPolicy\nmetadata:\n  name: ${JSON.stringify(entry.identity.replace(/[^a-z0-9]+/gi, "-").slice(0, 40))}\nspec:\n  mode: Audit   # Enforce when it is quiet\n  from:\n    - serviceAccounts: [${JSON.stringify(entry.identity)}]\n  rules:\n    - name: seen\n      action: Allow\n      to:\n${destinations.map((d) => `        - hosts: [${JSON.stringify(d.host)}]   # ${d.count} flows\n          ports: [${d.ports.join(", ")}]`).join("\n")}\n`;
      return { identity: entry.identity, proof: entry.proof, since: ago(3600), flows: entry.flows, yaml, destinations };
    }),
  };
}

export function ca(trustCheckUrl) {
  return {
    present: true,
    certificate: { subject: "CN=Egret CA (laptop), O=Egret", issuer: "CN=Egret CA (laptop), O=Egret", serial: "6f2b1c9a77de01c4e2b0", notBefore: ago(86400 * 3), notAfter: new Date(Date.now() + 86400e3 * 3647).toISOString(), key: "ECDSA P-256", signature: "ecdsa-with-SHA256", ca: true, sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", pem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" },
    downloads: [{ format: "pem", path: "/ca.pem", filename: "egret-ca.pem", sizeBytes: 712 }, { format: "der", path: "/ca.crt", filename: "egret-ca.crt", sizeBytes: 498 }, { format: "p12", path: "/ca.p12", filename: "egret-ca.p12", password: "changeit", sizeBytes: 214_113 }, { format: "bundle", path: "/ca-bundle.pem", filename: "egret-bundle.pem", sizeBytes: 221_470 }],
    trustCheckUrl,
    rejections: [{ identity: "monitoring/prometheus", host: "push.vendor.example", alert: "unknown_ca", kind: "ca-not-trusted", advice: "the client does not trust the interception CA; install it where this program looks (`egret ca export`)", count: 41, lastSeen: ago(12) }, { identity: `mallory${EVIL}`, host: `pinned${EVIL}.example`, alert: "bad_certificate", kind: "pinned", advice: "the client looks pinned; tunnel this host for it", count: 9, lastSeen: ago(300), passthroughUntil: new Date(Date.now() + 1_500_000).toISOString() }],
  };
}
