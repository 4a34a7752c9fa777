// JSON as rows of a tree. Numbers keep the spelling they were sent with, objects the order and the doubled keys.

export type JsonNode =
  | { type: "object"; members: { key: string; value: JsonNode }[] }
  | { type: "array"; items: JsonNode[] }
  | { type: "string"; value: string }
  | { type: "number"; text: string }
  | { type: "literal"; text: "true" | "false" | "null" };

export class JsonError extends Error {
  constructor(
    message: string,
    readonly position: number,
  ) {
    super(message);
  }
}

/** Deeper nesting is refused, as the reader calls itself. */
const MAX_DEPTH = 500;

/** Reads JSON (RFC 8259). Throws `JsonError`. */
export function parseJson(text: string): JsonNode {
  let at = 0;
  const fail = (what: string): never => {
    throw new JsonError(what, at);
  };
  const space = () => {
    while (at < text.length && " \t\n\r".includes(text.charAt(at))) at++;
  };
  const string = (): string => {
    const start = at;
    at++;
    for (;;) {
      const c = text.charCodeAt(at);
      if (Number.isNaN(c)) fail("the string does not end");
      if (c === 0x22) break;
      if (c < 0x20) fail("a control character in a string");
      at += c === 0x5c ? 2 : 1;
    }
    at++;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      at = start;
      return fail("a bad escape in a string");
    }
  };
  const value = (depth: number): JsonNode => {
    if (depth > MAX_DEPTH) fail("nested too deeply");
    space();
    const c = text.charAt(at);
    if (c === "{") {
      const members: { key: string; value: JsonNode }[] = [];
      at++;
      space();
      if (text.charAt(at) === "}") return at++, { type: "object", members };
      for (;;) {
        space();
        if (text.charAt(at) !== '"') fail("a key was expected");
        const key = string();
        space();
        if (text.charAt(at) !== ":") fail("a colon was expected");
        at++;
        members.push({ key, value: value(depth + 1) });
        space();
        const next = text.charAt(at);
        if (next === ",") at++;
        else if (next === "}") return at++, { type: "object", members };
        else fail("a comma or } was expected");
      }
    }
    if (c === "[") {
      const items: JsonNode[] = [];
      at++;
      space();
      if (text.charAt(at) === "]") return at++, { type: "array", items };
      for (;;) {
        items.push(value(depth + 1));
        space();
        const next = text.charAt(at);
        if (next === ",") at++;
        else if (next === "]") return at++, { type: "array", items };
        else fail("a comma or ] was expected");
      }
    }
    if (c === '"') return { type: "string", value: string() };
    const literal = /^(true|false|null)/.exec(text.slice(at, at + 5));
    if (literal) {
      at += literal[0].length;
      return { type: "literal", text: literal[0] as "true" };
    }
    const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/.exec(text.slice(at, at + 400));
    if (number) {
      at += number[0].length;
      return { type: "number", text: number[0] };
    }
    return fail(c === "" ? "the text ends too early" : "a value was expected");
  };
  const node = value(0);
  space();
  if (at < text.length) fail("more text after the value");
  return node;
}

export interface JsonRow {
  /** The way to this row, unique. */
  path: string;
  depth: number;
  key?: string;
  /** In an array. */
  index?: number;
  node: JsonNode;
  /** Number of children; leaves have none. */
  size?: number;
  open?: boolean;
}

/** The rows of the tree that are in sight. `toggled` holds paths whose state is not the default (open above `openDepth`). */
export function jsonRows(root: JsonNode, toggled: ReadonlySet<string>, openDepth = 3, limit = 50_000): JsonRow[] {
  const rows: JsonRow[] = [];
  const walk = (node: JsonNode, path: string, depth: number, name: { key?: string; index?: number }) => {
    if (rows.length >= limit) return;
    const size = node.type === "object" ? node.members.length : node.type === "array" ? node.items.length : undefined;
    if (size === undefined) {
      rows.push({ path, depth, ...name, node });
      return;
    }
    const byDefault = depth < openDepth && (depth === 0 || size <= 200);
    const open = size > 0 && byDefault !== toggled.has(path);
    rows.push({ path, depth, ...name, node, size, open });
    if (!open) return;
    if (node.type === "object") node.members.forEach((m, i) => walk(m.value, `${path}/${i}`, depth + 1, { key: m.key }));
    else if (node.type === "array") node.items.forEach((item, i) => walk(item, `${path}/${i}`, depth + 1, { index: i }));
  };
  walk(root, "", 0, {});
  return rows;
}

/** The same JSON, indented. */
export function prettyJson(node: JsonNode, indent = ""): string {
  switch (node.type) {
    case "string":
      return JSON.stringify(node.value);
    case "number":
    case "literal":
      return node.text;
    case "array":
      if (node.items.length === 0) return "[]";
      return `[\n${node.items.map((item) => `${indent}  ${prettyJson(item, `${indent}  `)}`).join(",\n")}\n${indent}]`;
    case "object":
      if (node.members.length === 0) return "{}";
      return `{\n${node.members.map((m) => `${indent}  ${JSON.stringify(m.key)}: ${prettyJson(m.value, `${indent}  `)}`).join(",\n")}\n${indent}}`;
  }
}
