// Flows as a busy cluster would make them, some of them hostile in every field.
import { random } from "./random.mjs";

export const EVIL = `<script>window.__pwned=1</script><img src=x onerror="window.__pwned=2">"'\`\u202Eevil\u0000`;

const IDENTITIES = [
  ["payments/checkout", "service-account", 18],
  ["payments/ledger", "service-account", 8],
  ["shop/catalogue", "service-account", 14],
  ["ci/runner", "service-account", 12],
  ["spiffe://corp.example/ns/search/sa/indexer", "certificate", 7],
  ["alice", "ldap", 5],
  ["bob", "ldap", 3],
  ["backup-job", "htpasswd", 3],
  ["ml/training", "service-account", 9],
  ["10.42.7.19", "address", 4],
  ["10.42.9.203", "address", 2],
  ["monitoring/prometheus", "service-account", 6],
  ["support/zendesk-sync", "service-account", 2],
];
const API = ["/v1/orders", "/v1/orders/8731", "/v1/customers?limit=50", "/v1/payment_intents", "/v1/refunds", "/v2/search?q=shoes&page=2", "/v1/events/stream", "/graphql"];
const HOSTS = [
  // host, port, treatment, weight, paths, kind
  ["api.stripe.com", 443, "intercept", 16, API, "http"],
  ["api.github.com", 443, "intercept", 12, ["/repos/egret/egret/pulls?state=open", "/user", "/graphql", "/repos/egret/egret/actions/runs"], "http"],
  ["github.com", 443, "tunnel", 7],
  ["registry-1.docker.io", 443, "tunnel", 8],
  ["auth.docker.io", 443, "tunnel", 3],
  ["pypi.org", 443, "intercept", 5, ["/simple/requests/", "/simple/numpy/", "/simple/six/"], "http"],
  ["files.pythonhosted.org", 443, "tunnel", 6],
  ["registry.npmjs.org", 443, "intercept", 6, ["/left-pad", "/react", "/@types%2fnode", "/preact"], "http"],
  ["deb.debian.org", 80, "forward", 6, ["/debian/dists/bookworm/InRelease", "/debian/pool/main/c/curl/curl_7.88.1-10_amd64.deb"], "http"],
  ["fonts.example.net", 443, "intercept", 3, ["/inter.woff2", "/logo.png", "/hero.webp"], "http"],
  ["rates.bank.example", 443, "intercept", 4, ["/fx/EUR/USD", "/fx/EUR/CHF"], "http"],
  ["stream.market.example", 443, "intercept", 2, ["/ws/quotes"], "websocket"],
  ["inventory.grpc.example", 443, "intercept", 5, ["/shop.Inventory/Reserve", "/shop.Inventory/Watch"], "grpc"],
  ["events.partner.example", 443, "intercept", 1, ["/sse/orders"], "events"],
  ["ads.tracker.example", 443, "tunnel", 3],
  ["169.254.169.254", 80, "forward", 1, ["/latest/meta-data/iam/security-credentials/"], "http"],
  ["pastebin.example", 443, "tunnel", 1],
  ["legacy.corp.example", 8080, "forward", 2, ["/soap/CustomerService"], "http"],
  ["storage.googleapis.com", 443, "tunnel", 5],
  ["time.cluster.example", 123, "tunnel", 1, undefined, "udp"],
];
export const REASONS = {
  "denied-by-rule": [403, "policy", "A rule of the proxy's configuration denies this destination.", "Ask whoever runs the proxy to allow it; name the rule and the flow id."],
  "denied-by-default": [403, "policy", "No rule of the proxy's configuration allows this destination.", "Ask whoever runs the proxy to allow it; name the destination and the flow id."],
  "denied-by-guard": [403, "policy", "The destination is an address that the built-in guard protects (loopback, link-local, metadata, multicast, or the proxy itself).", "If the destination is meant to be reached, add it to `guard.allow`."],
  "connect-timeout": [504, "upstream", "The destination did not answer the connection in time (`timeouts.connect`).", "A firewall that drops packets is the usual cause."],
  "upstream-certificate-invalid": [502, "upstream", "The upstream's certificate cannot be trusted.", "The detail says why. For a private CA use `upstream.trustedCA` or --upstream-ca."],
  "dns-not-found": [502, "upstream", "The name does not exist, or has no address.", "Check the spelling; a short service name needs its namespace (name.namespace.svc)."],
  "client-aborted": [499, "client", "The client went away before the flow was complete.", "Look at the client's own timeout and log."],
  "upstream-reset": [502, "upstream", "The upstream reset the connection.", "Look at the origin's log; a firewall in between can be the cause as well."],
  "idle-timeout": [504, "egret", "The tunnel carried nothing for longer than `timeouts.tunnelIdle`.", "Use keep-alive messages in the protocol inside, or raise the limit."],
};
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
export function idOf(number) {
  let n = BigInt(number) * 2654435761n + 862_347_112_345n;
  let text = "";
  for (let i = 0; i < 8; i++) {
    text = ALPHABET[Number(n & 31n)] + text;
    n >>= 5n;
  }
  return text;
}

const TYPES = { png: "image/png", webp: "image/webp", woff2: "font/woff2" };
const dice = random(20261121);

/** One flow, as `GET /flows` lists it. */
export function makeFlow(seq, started, fresh = false, tame = false) {
  if (seq % 97 === 13 && !tame) return hostile(seq, started);
  const [identity, proof] = dice.weighted(IDENTITIES.map((entry) => [entry, entry[2]]));
  const [host, port, treatment0, , paths, kind0] = dice.weighted(HOSTS.map((entry) => [entry, entry[3]]));
  let treatment = treatment0;
  let kind = kind0 ?? "tunnel";
  let reason;
  const roll = dice.next();
  if (host === "169.254.169.254") reason = "denied-by-guard";
  else if (host === "pastebin.example") reason = "denied-by-default";
  else if (host === "ads.tracker.example") reason = "denied-by-rule";
  else if (host === "rates.bank.example" && roll < 0.25) reason = "upstream-certificate-invalid";
  else if (roll < 0.006) reason = "connect-timeout";
  else if (roll < 0.01) reason = "upstream-reset";
  else if (roll < 0.014) reason = "client-aborted";
  else if (roll < 0.016) reason = "dns-not-found";
  const refused = reason && REASONS[reason][1] === "policy";
  if (refused) {
    treatment = "local";
    if (kind === "tunnel") kind = "http";
  }
  const path = paths && (treatment !== "tunnel") ? dice.pick(paths) : undefined;
  const scheme = port === 80 || port === 8080 ? "http" : "https";
  const method = kind === "udp" ? "UDP" : !path ? "CONNECT" : kind === "grpc" ? "POST" : kind !== "http" ? "GET" : /orders$|graphql|intents|refunds|soap/.test(path) && dice.next() < 0.7 ? "POST" : dice.next() < 0.03 ? "DELETE" : "GET";
  const status = reason ? REASONS[reason][0] : kind === "websocket" ? 101 : dice.weighted([[200, 80], [201, 5], [204, 3], [304, 4], [301, 1], [404, 3], [429, 1.4], [500, 0.9], [503, 0.7]]);
  const long = kind === "tunnel" || kind === "websocket" || kind === "events";
  const open = (fresh && dice.next() < 0.12 && !reason) || (long && !reason && seq % 211 === 0);
  const total = long ? dice.tail(9000, 1.4) : dice.tail(70, 1.2);
  const big = kind === "tunnel" ? 260_000 : /deb$|woff2|png|webp/.test(path ?? "") ? 180_000 : 3_600;
  const ext = /\.([a-z0-9]+)$/.exec(path ?? "")?.[1];
  const client = `10.42.${(seq * 7) % 11}.${(seq * 13) % 250 + 1}:${32768 + ((seq * 31) % 28000)}`;
  return clean({
    id: idOf(seq),
    seq,
    kind,
    state: open ? "open" : reason ? "failed" : "complete",
    started: new Date(started).toISOString(),
    client: proof === "address" ? `${identity}:${32768 + ((seq * 31) % 28000)}` : client,
    identity,
    proof,
    method,
    target: path ? `${scheme}://${host}${port === 443 || port === 80 ? "" : `:${port}`}${path}` : `${host}:${port}`,
    scheme: path ? scheme : undefined,
    host,
    port,
    path,
    treatment,
    status: open && kind === "http" ? 0 : status,
    reason,
    blame: reason && REASONS[reason][1],
    policy: refused && reason === "denied-by-default" ? undefined : host === "169.254.169.254" ? "guard" : proof === "ldap" ? "people" : "platform",
    rule: reason === "denied-by-default" ? undefined : reason === "denied-by-guard" ? "metadata" : reason === "denied-by-rule" ? "no-trackers" : host.includes("stripe") ? "payments-api" : host.includes("debian") || host.includes("py") || host.includes("npm") ? "packages" : host.includes("github") || host.includes("docker") ? "developer-tools" : "known-partners",
    auditDenied: !reason && host === "legacy.corp.example" ? true : undefined,
    bytesUp: reason && refused ? 0 : Math.round(method === "POST" ? dice.tail(1200) : kind === "tunnel" ? dice.tail(4000) : 0),
    bytesDown: refused || reason === "connect-timeout" || reason === "dns-not-found" ? 0 : Math.round(dice.tail(big, 1.3)),
    totalMs: open ? undefined : round(reason === "connect-timeout" ? 10_000 + dice.next() * 20 : refused ? 0.2 + dice.next() : total),
    firstByteMs: refused ? 0.1 : round(Math.min(total * 0.7, 40 + dice.next() * 90)),
    downstream: kind === "udp" ? "SOCKS5" : kind === "grpc" || dice.next() < 0.4 ? "HTTP/2" : "HTTP/1.1",
    upstream: treatment === "tunnel" || treatment === "local" ? undefined : kind === "grpc" ? "HTTP/2" : dice.next() < 0.5 ? "HTTP/2" : "HTTP/1.1",
    contentType: treatment === "tunnel" || refused ? undefined : kind === "grpc" ? "application/grpc+proto" : kind === "events" ? "text/event-stream" : kind === "websocket" ? undefined : ext && TYPES[ext] ? TYPES[ext] : ext === "deb" ? "application/vnd.debian.binary-package" : /simple/.test(path) ? "text/html" : /soap/.test(path) ? "text/xml; charset=utf-8" : "application/json; charset=utf-8",
    messages: kind === "websocket" ? 340 : kind === "grpc" ? 6 : kind === "events" ? 40 : undefined,
    grpcStatus: kind === "grpc" ? (dice.next() < 0.06 ? 14 : 0) : undefined,
    capture: treatment === "tunnel" ? "None" : treatment === "forward" && dice.next() < 0.5 ? "Headers" : "Bodies",
    mark: seq % 433 === 0 ? dice.pick(["red", "orange", "green", "blue"]) : undefined,
    comment: seq % 866 === 0 ? "Seen on call, ticket OPS-2214" : undefined,
  });
}

/** Every text field is an attack. */
function hostile(seq, started) {
  return {
    id: idOf(seq),
    seq,
    kind: "http",
    state: "complete",
    started: new Date(started).toISOString(),
    client: "203.0.113.66:4444",
    identity: `mallory${EVIL}`,
    proof: "jwt",
    method: `EVIL<b>`,
    target: `https://evil.example/${EVIL}`,
    scheme: "https",
    host: `evil${EVIL}.example`,
    port: 443,
    path: `/${EVIL}`,
    treatment: "intercept",
    status: 418,
    policy: `policy${EVIL}`,
    rule: `rule${EVIL}`,
    bytesUp: 66,
    bytesDown: 666,
    totalMs: 66.6,
    firstByteMs: 6.6,
    downstream: "HTTP/1.1",
    upstream: "HTTP/1.1",
    contentType: `text/html${EVIL}`,
    messages: 6,
    capture: "Bodies",
    comment: `comment${EVIL}`,
  };
}

export function clean(object) {
  for (const key of Object.keys(object)) if (object[key] === undefined) delete object[key];
  return object;
}

export function round(ms) {
  return Math.round(ms * 1000) / 1000;
}
