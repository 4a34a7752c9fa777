// Headers as text that people edit, and back.
import type { Header } from "../api/types";
import { fromBase64 } from "./binary";

/** A header's value as text; bytes that are not UTF-8 are read as Latin-1. */
export function headerText(header: Header): string {
  if (header.value !== undefined) return header.value;
  return header.base64 !== undefined ? String.fromCharCode(...fromBase64(header.base64).subarray(0, 8192)) : "";
}

/** Headers as lines of text. Redacted ones stay as they are unless their line is changed. */
export function headersToText(headers: readonly Header[]): string {
  return headers.map((header) => `${header.name}: ${header.redacted ? "[redacted]" : headerText(header)}`).join("\n");
}

/** Lines of text as headers. Throws an error that names the line. */
export function textToHeaders(text: string, original: readonly Header[]): Header[] {
  return text
    .split(/\r?\n/)
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, number }) => {
      const colon = line.indexOf(":", 1);
      if (colon < 1) throw new Error(`Line ${number} of the headers has no colon. Write “Name: value”.`);
      const name = line.slice(0, colon).trim();
      const value = line.slice(colon + 1).trim();
      if (!/^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new Error(`Line ${number}: “${name}” is no header name.`);
      const before = original.find((header) => header.name === name && (header.redacted ? value === "[redacted]" : headerText(header) === value));
      if (before?.redacted) return { name, redacted: true };
      if (before?.base64 !== undefined) return { name, base64: before.base64 };
      return { name, value };
    });
}
