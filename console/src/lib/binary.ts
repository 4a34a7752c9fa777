// Bytes for people: hex dumps, base64, forms, and protocol buffers without their schema.

export interface HexRow {
  offset: string;
  hex: string;
  text: string;
}

/** Sixteen bytes a row. */
export function hexRows(data: Uint8Array, from = 0, base = 0): HexRow[] {
  const rows: HexRow[] = [];
  for (let at = from; at < data.length; at += 16) {
    const slice = data.subarray(at, at + 16);
    let hex = "";
    let text = "";
    slice.forEach((byte, i) => {
      hex += (i === 8 ? "  " : i > 0 ? " " : "") + byte.toString(16).padStart(2, "0");
      text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
    });
    rows.push({ offset: (base + at).toString(16).padStart(8, "0"), hex: hex.padEnd(48), text });
  }
  return rows;
}

/** Bytes of base64; empty if it is none. */
export function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/** `application/x-www-form-urlencoded`, in order; `%` that is no escape stays. */
export function parseForm(text: string): { name: string; value: string }[] {
  if (text === "") return [];
  return text.split("&").map((pair) => {
    const eq = pair.indexOf("=");
    return eq < 0 ? { name: unescape(pair), value: "" } : { name: unescape(pair.slice(0, eq)), value: unescape(pair.slice(eq + 1)) };
  });
}

function unescape(text: string): string {
  const plain = text.replace(/\+/g, " ");
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

export interface FormPart {
  headers: string[];
  name: string;
  filename?: string;
  text: string;
}

/** The parts of `multipart/form-data`, given the Content-Type that has the boundary. */
export function parseMultipart(text: string, contentType: string): FormPart[] {
  const boundary = /boundary="?([^";,]+)"?/i.exec(contentType)?.[1];
  if (!boundary) return [];
  const parts: FormPart[] = [];
  for (const chunk of `\r\n${text}`.split(`\r\n--${boundary}`).slice(1)) {
    if (chunk.startsWith("--")) break;
    const body = chunk.replace(/^\r\n/, "");
    const gap = body.indexOf("\r\n\r\n");
    const head = gap < 0 ? "" : body.slice(0, gap);
    const headers = head.split("\r\n").filter((line) => line !== "");
    const disposition = headers.find((line) => /^content-disposition:/i.test(line)) ?? "";
    parts.push({
      headers,
      name: /[;\s]name="([^"]*)"/i.exec(disposition)?.[1] ?? "",
      filename: /filename="([^"]*)"/i.exec(disposition)?.[1],
      text: gap < 0 ? body : body.slice(gap + 4),
    });
  }
  return parts;
}

export interface ProtoField {
  number: number;
  wire: "varint" | "fixed64" | "bytes" | "fixed32";
  /** What it reads as, for people. */
  value: string;
  /** Where bytes read as a message of their own. */
  fields?: ProtoField[];
}

/** Reads protocol buffers without a schema; `undefined` if the bytes are no message. */
export function decodeProto(data: Uint8Array, depth = 0): ProtoField[] | undefined {
  if (depth > 16) return undefined;
  const fields: ProtoField[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = data[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value & 0xffff_ffff_ffff_ffffn;
    }
    return undefined;
  };
  while (at < data.length) {
    const key = varint();
    if (key === undefined || key >> 3n === 0n || key >> 3n > 536_870_911n) return undefined;
    const number = Number(key >> 3n);
    switch (Number(key & 7n)) {
      case 0: {
        const value = varint();
        if (value === undefined) return undefined;
        fields.push({ number, wire: "varint", value: String(value) });
        break;
      }
      case 1:
      case 5: {
        const width = Number(key & 7n) === 1 ? 8 : 4;
        if (at + width > data.length) return undefined;
        const view = new DataView(data.buffer, data.byteOffset + at, width);
        const float = width === 8 ? view.getFloat64(0, true) : view.getFloat32(0, true);
        const int = width === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
        const plausible = float !== 0 && Math.abs(float) > 1e-9 && Math.abs(float) < 1e15;
        fields.push({ number, wire: width === 8 ? "fixed64" : "fixed32", value: plausible ? `${float} (or ${int})` : String(int) });
        at += width;
        break;
      }
      case 2: {
        const length = varint();
        if (length === undefined || BigInt(at) + length > BigInt(data.length)) return undefined;
        const bytes = data.subarray(at, at + Number(length));
        at += Number(length);
        const text = printable(bytes);
        const inner = bytes.length > 0 && text === undefined ? decodeProto(bytes, depth + 1) : undefined;
        if (inner) fields.push({ number, wire: "bytes", value: "", fields: inner });
        else fields.push({ number, wire: "bytes", value: text !== undefined ? JSON.stringify(text) : hexOf(bytes) });
        break;
      }
      default:
        return undefined;
    }
  }
  return fields;
}

function printable(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function hexOf(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, 64), (b) => b.toString(16).padStart(2, "0")).join(" ");
  return bytes.length > 64 ? `${shown} … (${bytes.length} bytes)` : shown;
}
