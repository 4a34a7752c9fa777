// Help with writing filters. The proxy reads them; here they are only taken apart to colour, complete and combine.

export interface Word {
  name: string;
  means: string;
  values?: readonly string[];
}

/** The words of the language, as `GET /filter` documents them. */
export const WORDS: readonly Word[] = [
  { name: "host", means: "destination, or *.suffix" },
  { name: "port", means: "destination's port" },
  { name: "url", means: "the URL, with *" },
  { name: "path", means: "path and query, with *" },
  { name: "method", means: "GET, POST, CONNECT …", values: ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT"] },
  { name: "status", means: "404, >=500, 5xx, 200..299", values: [">=500", ">=400", "2xx", "3xx", "4xx", "5xx"] },
  { name: "type", means: "content type", values: ["*json*", "text/html", "image/*", "*javascript*", "application/grpc*", "*form*"] },
  { name: "header", means: "name, or name=value with *, either side" },
  { name: "request-header", means: "header of the request" },
  { name: "response-header", means: "header of the response" },
  { name: "body", means: "text in either body" },
  { name: "request-body", means: "text in the request's body" },
  { name: "response-body", means: "text in the response's body" },
  { name: "client", means: "client's address or CIDR" },
  { name: "identity", means: "who: user, certificate, workload" },
  { name: "address", means: "address dialled, or CIDR" },
  { name: "reason", means: "reason code" },
  { name: "blame", means: "who has to act", values: ["client", "upstream", "policy", "egret"] },
  { name: "policy", means: "policy that decided" },
  { name: "rule", means: "rule that decided" },
  { name: "treatment", means: "what was done", values: ["tunnel", "intercept", "forward", "local"] },
  { name: "kind", means: "kind of flow", values: ["http", "tunnel", "websocket", "grpc", "events", "udp", "handshake"] },
  { name: "is", means: "a state", values: ["open", "complete", "failed", "refused", "audit", "marked", "replay", "changed", "captured", "truncated", "asset"] },
  { name: "bytes", means: ">1mb, both directions" },
  { name: "bytes-up", means: "bytes from the client" },
  { name: "bytes-down", means: "bytes to the client" },
  { name: "time", means: ">500ms, total" },
  { name: "since", means: "5m, 1h: began at most so long ago" },
  { name: "age", means: ">10m: how long ago it began" },
  { name: "sni", means: "TLS server name" },
  { name: "tls", means: "TLS version", values: ["1.2", "1.3"] },
  { name: "mark", means: "colour", values: ["red", "orange", "yellow", "green", "blue", "purple"] },
  { name: "comment", means: "a comment, with *" },
  { name: "id", means: "flow id" },
];

export type TokenKind = "word" | "operator" | "text" | "paren" | "space" | "tilde";
export interface Token {
  kind: TokenKind;
  start: number;
  end: number;
}

/** Takes a filter apart for colouring. Never fails: what it does not know is text. Tokens cover the whole input. */
export function tokens(filter: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  const push = (kind: TokenKind, end: number) => {
    out.push({ kind, start: at, end });
    at = end;
  };
  while (at < filter.length) {
    const c = filter.charAt(at);
    if (/\s/.test(c)) push("space", at + 1);
    else if (c === "(" || c === ")") push("paren", at + 1);
    else if (c === "&" || c === "|" || c === "!") push("operator", at + 1);
    else if (c === '"') push("text", quotedEnd(filter, at));
    else {
      const end = atomEnd(filter, at);
      const atom = filter.slice(at, end);
      const colon = atom.indexOf(":");
      if (/^~[a-z]+$/.test(atom)) push("tilde", end);
      else if (/^(and|or|not)$/i.test(atom)) push("operator", end);
      else if (colon > 0 && WORDS.some((word) => word.name === atom.slice(0, colon))) {
        push("word", at + colon + 1);
        if (at < end) push("text", end);
      } else push("text", end);
    }
  }
  return out;
}

function atomEnd(filter: string, from: number): number {
  let at = from;
  while (at < filter.length) {
    const c = filter.charAt(at);
    if (c === '"') {
      at = quotedEnd(filter, at);
      continue;
    }
    if (/[\s()&|]/.test(c)) break;
    at++;
  }
  return Math.max(at, from + 1);
}

function quotedEnd(filter: string, from: number): number {
  for (let at = from + 1; at < filter.length; at++) {
    const c = filter.charAt(at);
    if (c === "\\") at++;
    else if (c === '"') return at + 1;
  }
  return filter.length;
}

/** A value as it stands in a filter: quoted where it has to be. */
export function quote(value: string): string {
  if (value !== "" && /^[A-Za-z0-9_.:/@*+%,-]+$/.test(value) && !value.startsWith("/") && !value.startsWith("~")) return value;
  return `"${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}

/** `filter` and one more term. A filter with `|` is put into parentheses first; a term that stands there is not doubled. */
export function and(filter: string, term: string): string {
  const trimmed = filter.trim();
  if (trimmed === "") return term;
  if (terms(trimmed).includes(term)) return trimmed;
  return `${hasOr(trimmed) ? `(${trimmed})` : trimmed} ${term}`;
}

/** Takes a term out of a filter of terms; a filter that is more than that is left as it is. */
export function without(filter: string, term: string): string {
  const parts = terms(filter.trim());
  return parts.includes(term) ? parts.filter((part) => part !== term).join(" ") : filter;
}

/** Whether the term stands in the filter's outermost conjunction. */
export function has(filter: string, term: string): boolean {
  return terms(filter.trim()).includes(term);
}

function hasOr(filter: string): boolean {
  return tokens(filter).some((t) => t.kind === "operator" && /^(\||or)$/i.test(filter.slice(t.start, t.end)));
}

/** The terms that are joined by and at the outermost level; the whole filter if it has an or. */
export function terms(filter: string): string[] {
  if (filter === "") return [];
  const out: string[] = [];
  let depth = 0;
  let start = -1;
  const close = (end: number) => {
    if (start >= 0) out.push(filter.slice(start, end));
    start = -1;
  };
  for (const token of tokens(filter)) {
    const text = filter.slice(token.start, token.end);
    if (token.kind === "paren") depth += text === "(" ? 1 : -1;
    const or = token.kind === "operator" && /^(\||or)$/i.test(text);
    if (or && depth === 0) return [filter];
    const joint = depth === 0 && (token.kind === "space" || (token.kind === "operator" && /^(&|and)$/i.test(text)));
    if (joint && !endsOpen(filter, start, token.start)) close(token.start);
    else if (start < 0 && !joint) start = token.start;
  }
  close(filter.length);
  return out;
}

// `! x`, `not x` and `~d x` go on after the space.
function endsOpen(filter: string, start: number, end: number): boolean {
  return start >= 0 && /(^|\s)(!|not|~(d|m|c|b|bq|bs|u|h|hq|hs|t|tq|ts|src|dst|mark|comment))\s*$/i.test(filter.slice(start, end));
}

export interface Completion {
  /** What the filter becomes. */
  filter: string;
  /** Where the caret goes. */
  caret: number;
  label: string;
  means: string;
}

/** What could be meant at the caret: names of words, or values of the word before the colon. */
export function complete(filter: string, caret: number, values: Readonly<Record<string, readonly string[]>> = {}): Completion[] {
  let start = caret;
  while (start > 0 && !/[\s()&|!"]/.test(filter.charAt(start - 1))) start--;
  const typed = filter.slice(start, caret);
  const rest = filter.slice(caret);
  const colon = typed.indexOf(":");
  const make = (text: string, label: string, means: string): Completion => ({
    filter: filter.slice(0, start) + text + rest,
    caret: start + text.length,
    label,
    means,
  });
  if (colon < 0) {
    if (typed === "") return [];
    const low = typed.toLowerCase();
    return WORDS.filter((word) => word.name.startsWith(low)).map((word) => make(`${word.name}:`, `${word.name}:`, word.means));
  }
  const name = typed.slice(0, colon).toLowerCase();
  const low = typed.slice(colon + 1).toLowerCase();
  const word = WORDS.find((candidate) => candidate.name === name);
  if (!word) return [];
  const known = [...(word.values ?? []), ...(values[name] ?? [])];
  return [...new Set(known)]
    .filter((value) => value.toLowerCase().includes(low) && value.toLowerCase() !== low)
    .slice(0, 12)
    .map((value) => make(`${name}:${quote(value)}`, value, word.means));
}
