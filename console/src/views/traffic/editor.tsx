// Fields to change a request or a response, for replay and for breakpoints.
import type { JSX } from "preact";

export interface Draft {
  method: string;
  target: string;
  status: string;
  headers: string;
  body: string;
  /** The body as it was, to tell whether it was edited. */
  originalBody: string;
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
