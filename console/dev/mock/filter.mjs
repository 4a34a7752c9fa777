// Enough of the filter language to try the page with.

const NEXT = new Set(["d", "m", "c", "b", "bq", "bs", "u", "h", "hq", "hs", "t", "tq", "ts", "src", "dst", "mark", "comment"]);
const WORDS = new Set("host port url path method status type header reqheader resheader body reqbody resbody client identity dialled reason blame policy rule treatment kind is bytes up down time since before sni tls mark comment id".split(" "));

export class FilterError extends Error {
  constructor(message, position, length, suggestion) {
    super(message);
    Object.assign(this, { position, length, suggestion });
  }
}

/** A function of flows, and what it was understood as. */
export function compile(text) {
  const tokens = lex(text);
  let at = 0;
  let bodies = false;
  const peek = () => tokens[at];
  const or = () => {
    let left = and();
    while (peek() && isOr(peek())) {
      at++;
      const a = left;
      const b = and();
      left = { test: (f) => a.test(f) || b.test(f), say: `(${a.say} or ${b.say})` };
    }
    return left;
  };
  const and = () => {
    let left = unary();
    while (peek() && !isOr(peek()) && peek().text !== ")") {
      if (!peek().quoted && /^(&|and)$/i.test(peek().text)) at++;
      const a = left;
      const b = unary();
      left = { test: (f) => a.test(f) && b.test(f), say: `(${a.say} and ${b.say})` };
    }
    return left;
  };
  const unary = () => {
    const token = tokens[at++];
    if (!token) throw new FilterError("Something is missing at the end.", text.length, 0);
    if (!token.quoted && /^(!|not)$/i.test(token.text)) {
      const inner = unary();
      return { test: (f) => !inner.test(f), say: `not ${inner.say}` };
    }
    if (token.text === "(" && !token.quoted) {
      const inner = or();
      if (peek()?.text !== ")") throw new FilterError("A parenthesis is not closed.", token.at, 1);
      at++;
      return inner;
    }
    if (token.text === ")" && !token.quoted) throw new FilterError("A parenthesis closes that was not opened.", token.at, 1);
    if (!token.quoted && /^~[a-z]+$/.test(token.text)) {
      const name = token.text.slice(1);
      const value = NEXT.has(name) ? tokens[at++]?.value : undefined;
      if (NEXT.has(name) && value === undefined) throw new FilterError(`${token.text} needs a value.`, token.at, token.text.length);
      if (/^b/.test(name)) bodies = true;
      return { test: tilde(name, value, token), say: `${token.text}${value === undefined ? "" : ` ${value}`}` };
    }
    const colon = /^([A-Za-z]+):/.exec(token.text);
    if (colon && !token.quoted && !token.text.startsWith(`${colon[1]}://`)) {
      const name = colon[1].toLowerCase();
      if (!WORDS.has(name)) throw new FilterError(`There is no word “${name}”.`, token.at, name.length + 1, [...WORDS].find((word) => word.startsWith(name.slice(0, 2))));
      if (name.includes("body")) bodies = true;
      const value = token.value.slice(colon[0].length);
      if (value === "") throw new FilterError(`“${name}:” needs a value.`, token.at, token.text.length);
      return { test: word(name, value, token), say: `${name} ${value}` };
    }
    const low = token.value.toLowerCase();
    return { test: (f) => f.target.toLowerCase().includes(low), say: `URL has ${token.value}` };
  };
  if (tokens.length === 0) return { test: () => true, say: "everything", bodies };
  const tree = or();
  if (at < tokens.length) throw new FilterError("This was not expected here.", tokens[at].at, tokens[at].text.length);
  return { ...tree, bodies };
}

function isOr(token) {
  return !token.quoted && /^(\||or)$/i.test(token.text);
}

function lex(text) {
  const tokens = [];
  let at = 0;
  while (at < text.length) {
    const c = text[at];
    if (/\s/.test(c)) {
      at++;
      continue;
    }
    if ("()&|!".includes(c)) {
      tokens.push({ text: c, value: c, at, quoted: false });
      at++;
      continue;
    }
    const start = at;
    let value = "";
    while (at < text.length && !/[\s()&|]/.test(text[at])) {
      if (text[at] !== '"') {
        value += text[at++];
        continue;
      }
      at++;
      while (at < text.length && text[at] !== '"') {
        if (text[at] === "\\") at++;
        value += text[at++] ?? "";
      }
      if (at >= text.length) throw new FilterError("A quotation mark is not closed.", start, text.length - start);
      at++;
    }
    tokens.push({ text: text.slice(start, at), value, at: start, quoted: c === '"' });
  }
  return tokens;
}

function regex(source, token) {
  try {
    return new RegExp(source, "i");
  } catch {
    throw new FilterError("This is no regular expression.", token.at, token.text.length);
  }
}

function tilde(name, value, token) {
  const re = value !== undefined && name !== "c" ? regex(value, token) : undefined;
  switch (name) {
    case "all": return () => true;
    case "d": return (f) => re.test(f.host);
    case "m": return (f) => re.test(f.method);
    case "u": return (f) => re.test(f.target);
    case "c": return (f) => f.status === Number(value);
    case "t": case "ts": return (f) => re.test(f.contentType ?? "");
    case "tq": return () => false;
    case "src": return (f) => re.test(f.client);
    case "dst": return (f) => re.test(f.host);
    case "e": return (f) => f.reason !== undefined;
    case "q": return (f) => f.status === 0;
    case "s": return (f) => f.status > 0;
    case "a": return (f) => /image|font|css|javascript/.test(f.contentType ?? "");
    case "http": return (f) => f.kind === "http";
    case "tcp": return (f) => f.kind === "tunnel";
    case "udp": return (f) => f.kind === "udp";
    case "websocket": return (f) => f.kind === "websocket";
    case "marked": return (f) => f.mark !== undefined;
    case "mark": return (f) => re.test(f.mark ?? "");
    case "comment": return (f) => re.test(f.comment ?? "");
    case "replay": return (f) => f.replayOf !== undefined;
    case "b": case "bq": case "bs": return (f) => /json/.test(f.contentType ?? "") && re.test("order out of stock 8731");
    case "h": case "hq": case "hs": return (f) => re.test(`content-type: ${f.contentType}`);
    default: throw new FilterError(`There is no operator ${token.text}.`, token.at, token.text.length);
  }
}

function word(name, value, token) {
  const low = value.toLowerCase();
  const part = (get) => {
    if (value.startsWith("=")) return (f) => (get(f) ?? "") === value.slice(1);
    const slashes = /^\/(.*)\/$/.exec(value);
    if (slashes) {
      const re = regex(slashes[1], token);
      return (f) => re.test(get(f) ?? "");
    }
    return (f) => (get(f) ?? "").toLowerCase().includes(low);
  };
  switch (name) {
    case "host": return low.startsWith("*.") ? (f) => f.host.toLowerCase().endsWith(low.slice(1)) : (f) => f.host.toLowerCase() === low;
    case "port": return (f) => String(f.port) === value;
    case "url": return part((f) => f.target);
    case "path": return part((f) => f.path);
    case "method": return (f) => f.method.toLowerCase() === low;
    case "status": return number(value, token, (f) => f.status);
    case "type": return part((f) => f.contentType);
    case "client": return (f) => f.client.startsWith(value.replace(/\/\d+$/, "").replace(/(\.0)+$/, ""));
    case "identity": return (f) => f.identity.toLowerCase() === low || (f.identity.toLowerCase().includes(low) && !f.identity.includes("<"));
    case "reason": return (f) => f.reason === value;
    case "blame": return (f) => f.blame === value;
    case "policy": return (f) => f.policy === value;
    case "rule": return (f) => f.rule === value;
    case "treatment": return (f) => f.treatment === value;
    case "kind": return (f) => f.kind === value;
    case "mark": return (f) => f.mark === value;
    case "comment": return part((f) => f.comment);
    case "id": return (f) => f.id === value;
    case "bytes": return number(value, token, (f) => f.bytesUp + f.bytesDown);
    case "up": return number(value, token, (f) => f.bytesUp);
    case "down": return number(value, token, (f) => f.bytesDown);
    case "time": return number(value, token, (f) => f.totalMs ?? 0);
    case "since": {
      const span = /^(\d+)(s|m|h)$/.exec(value);
      const from = span ? Date.now() - Number(span[1]) * { s: 1e3, m: 6e4, h: 36e5 }[span[2]] : Date.parse(value);
      if (Number.isNaN(from)) throw new FilterError("This is no time.", token.at, token.text.length);
      return (f) => Date.parse(f.started) >= from;
    }
    case "is": {
      const states = { open: (f) => f.state === "open", held: (f) => f.state === "held", complete: (f) => f.state === "complete", failed: (f) => f.reason !== undefined || f.status >= 500, refused: (f) => f.blame === "policy", audit: (f) => f.auditDenied === true, marked: (f) => f.mark !== undefined, replay: (f) => f.replayOf !== undefined, changed: (f) => f.changed === true, captured: (f) => f.capture !== "None", asset: (f) => /image|font|css|javascript/.test(f.contentType ?? "") };
      if (!states[value]) throw new FilterError(`“${value}” is no state.`, token.at, token.text.length, Object.keys(states).find((state) => state[0] === value[0]));
      return states[value];
    }
    default: return part((f) => JSON.stringify(f));
  }
}

function number(value, token, get) {
  const unit = { kb: 1e3, mb: 1e6, gb: 1e9, ms: 1, s: 1e3, m: 6e4 };
  const read = (text) => {
    const [, digits, suffix] = /^([\d.]+)([a-z]*)$/i.exec(text) ?? [];
    if (digits === undefined || (suffix && !unit[suffix.toLowerCase()])) throw new FilterError(`“${text}” is no number.`, token.at, token.text.length);
    return Number(digits) * (suffix ? unit[suffix.toLowerCase()] : 1);
  };
  const klass = /^([1-5])xx$/i.exec(value);
  if (klass) return (f) => Math.floor(get(f) / 100) === Number(klass[1]);
  const range = /^(.+)\.\.(.+)$/.exec(value);
  if (range) {
    const [a, b] = [read(range[1]), read(range[2])];
    return (f) => get(f) >= a && get(f) <= b;
  }
  const [, sign, rest] = /^(>=|<=|>|<)?(.*)$/.exec(value);
  const n = read(rest);
  return { ">=": (f) => get(f) >= n, "<=": (f) => get(f) <= n, ">": (f) => get(f) > n, "<": (f) => get(f) < n }[sign] ?? ((f) => get(f) === n);
}
