// Fields to change a request or a response, for replay and for breakpoints.
import type { JSX } from "preact";

import type { Header } from "../../api/types";
import { headerText } from "./part";

export interface Draft {
  method: string;
  target: string;
  status: string;
  headers: string;
  body: string;
  /** The body as it was, to tell whether it was edited. */
  originalBody: string;
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

export function EditorFields(props: { draft: Draft; onChange: (draft: Draft) => void; side: "request" | "response"; bodyEditable: boolean; bodyNote?: string }): JSX.Element {
  const { draft, onChange, side } = props;
  return (
    <div class="editor">
      {side === "request" ? (
        <div class="editor-line">
          <input aria-label="Method" class="mono method-field" value={draft.method} spellcheck={false} onInput={(event) => onChange({ ...draft, method: event.currentTarget.value })} />
          <input aria-label="URL" class="mono" value={draft.target} spellcheck={false} onInput={(event) => onChange({ ...draft, target: event.currentTarget.value })} />
        </div>
      ) : (
        <div class="editor-line"><label>Status <input class="mono method-field" inputMode="numeric" value={draft.status} onInput={(event) => onChange({ ...draft, status: event.currentTarget.value })} /></label></div>
      )}
      <label>
        Headers
        <textarea class="mono" rows={8} spellcheck={false} value={draft.headers} onInput={(event) => onChange({ ...draft, headers: event.currentTarget.value })} />
      </label>
      <label>
        Body {props.bodyNote && <small class="faint">{props.bodyNote}</small>}
        <textarea class="mono" rows={7} spellcheck={false} disabled={!props.bodyEditable} value={draft.body} onInput={(event) => onChange({ ...draft, body: event.currentTarget.value })} />
      </label>
      <small class="faint">Content-Length and Content-Encoding are made right by Egret.</small>
    </div>
  );
}
