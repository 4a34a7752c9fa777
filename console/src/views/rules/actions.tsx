// The actions of change rules: what they are called, what they do in words, and the fields to write them.
import type { JSX } from "preact";

import type { ChangeAction } from "../../api/types";

/** Every key that an action can have; each action has exactly one. */
type Keys<T> = T extends unknown ? keyof T : never;
export type ActionKind = Keys<ChangeAction>;
type Content<K extends ActionKind> = K extends ActionKind ? Extract<ChangeAction, { [P in K]: unknown }>[K] : never;

export const ACTIONS: Record<ActionKind, string> = {
  setRequestHeader: "Set a request header",
  addRequestHeader: "Add a request header",
  removeRequestHeader: "Remove a request header",
  setResponseHeader: "Set a response header",
  addResponseHeader: "Add a response header",
  removeResponseHeader: "Remove a response header",
  rewrite: "Rewrite the target",
  answer: "Answer",
  delayRequest: "Delay the request",
  delayResponse: "Delay the response",
  block: "Block",
  holdRequest: "Hold the request",
  holdResponse: "Hold the response",
  tag: "Tag",
};

export const BLANK: Record<ActionKind, ChangeAction> = {
  setRequestHeader: { setRequestHeader: { name: "", value: "" } },
  addRequestHeader: { addRequestHeader: { name: "", value: "" } },
  removeRequestHeader: { removeRequestHeader: { name: "" } },
  setResponseHeader: { setResponseHeader: { name: "", value: "" } },
  addResponseHeader: { addResponseHeader: { name: "", value: "" } },
  removeResponseHeader: { removeResponseHeader: { name: "" } },
  rewrite: { rewrite: { host: "" } },
  answer: { answer: { status: 200, headers: [{ name: "Content-Type", value: "application/json" }], body: "{}" } },
  delayRequest: { delayRequest: { millis: 1000 } },
  delayResponse: { delayResponse: { millis: 1000 } },
  block: { block: {} },
  holdRequest: { holdRequest: {} },
  holdResponse: { holdResponse: {} },
  tag: { tag: { tag: "" } },
};

export function kindOf(action: ChangeAction): ActionKind {
  return Object.keys(action)[0] as ActionKind;
}

function content<K extends ActionKind>(action: ChangeAction, kind: K): Content<K> {
  return (action as unknown as Record<K, Content<K>>)[kind];
}

/** What an action does, in words. */
export function describe(action: ChangeAction): string {
  const kind = kindOf(action);
  const side = kind.includes("Request") ? "request" : "response";
  switch (kind) {
    case "setRequestHeader":
    case "setResponseHeader": {
      const field = content(action, kind);
      return `set ${field.name}: ${field.value} in the ${side}`;
    }
    case "addRequestHeader":
    case "addResponseHeader": {
      const field = content(action, kind);
      return `add ${field.name}: ${field.value} to the ${side}`;
    }
    case "removeRequestHeader":
    case "removeResponseHeader":
      return `remove ${content(action, kind).name} from the ${side}`;
    case "rewrite": {
      const { scheme, host, port, path, replacement } = content(action, kind);
      const to = [scheme && `${scheme}://`, host, port && `:${port}`].filter(Boolean).join("");
      const paths = path ? `${path} to ${replacement ?? ""}` : "";
      return `rewrite ${[to && `to ${to}`, paths].filter(Boolean).join(", ")}`;
    }
    case "answer": {
      const { status, file, body } = content(action, kind);
      return `answer ${status ?? 200} ${file ? `from ${file}` : `with ${body?.length ?? 0} characters`}`;
    }
    case "delayRequest":
    case "delayResponse":
      return `delay the ${side} by ${content(action, kind).millis} ms`;
    case "block": {
      const { status } = content(action, kind);
      return status === 444 ? "close without a word" : `block with ${status ?? 403}`;
    }
    case "holdRequest":
    case "holdResponse":
      return `hold the ${side}`;
    case "tag":
      return `tag with ${content(action, kind).tag}`;
  }
}

/** The fields of one action. */
export function ActionFields({ action, onChange }: { action: ChangeAction; onChange: (action: ChangeAction) => void }): JSX.Element | null {
  const text = (label: string, value: string, change: (value: string) => ChangeAction, required = true) => (
    <input aria-label={label} placeholder={label} class="mono" value={value} required={required} spellcheck={false} onInput={(event) => onChange(change(event.currentTarget.value))} />
  );
  const number = (label: string, value: number | undefined, min: number, max: number, change: (value: number | undefined) => ChangeAction, required = true) => (
    <label class="inline-check">{label} <input type="number" value={value ?? ""} min={min} max={max} required={required} onInput={(event) => onChange(change(event.currentTarget.value === "" ? undefined : Number(event.currentTarget.value)))} /></label>
  );
  const kind = kindOf(action);
  const put = (value: unknown) => ({ [kind]: value }) as unknown as ChangeAction;
  switch (kind) {
    case "setRequestHeader":
    case "addRequestHeader":
    case "setResponseHeader":
    case "addResponseHeader": {
      const field = content(action, kind);
      return <>{text("Name", field.name, (name) => put({ ...field, name }))}{text("Value", field.value, (value) => put({ ...field, value }), false)}</>;
    }
    case "removeRequestHeader":
    case "removeResponseHeader":
      return text("Name, with *", content(action, kind).name, (name) => put({ name }));
    case "rewrite": {
      const to = content(action, kind);
      const set = (name: keyof typeof to) => (value: string) => put({ ...to, [name]: value || undefined });
      return (
        <>
          <select aria-label="Scheme" onChange={(event) => onChange(set("scheme")(event.currentTarget.value))}>
            {["", "http", "https"].map((scheme) => <option key={scheme} value={scheme} selected={(to.scheme ?? "") === scheme}>{scheme || "same scheme"}</option>)}
          </select>
          {text("Host", to.host ?? "", set("host"), false)}
          {number("Port", to.port, 1, 65_535, (port) => put({ ...to, port }), false)}
          {text("Path: regular expression", to.path ?? "", (path) => put({ ...to, path: path || undefined, replacement: path ? (to.replacement ?? "") : undefined }), false)}
          {to.path !== undefined && text("Becomes", to.replacement ?? "", (replacement) => put({ ...to, replacement }), false)}
        </>
      );
    }
    case "answer": {
      const answer = content(action, kind);
      const fields = answer.headers ?? [];
      return (
        <>
          {number("Status", answer.status, 200, 599, (status) => put({ ...answer, status }))}
          {text("Content type", fields.find((field) => field.name.toLowerCase() === "content-type")?.value ?? "", (value) => put({ ...answer, headers: [...fields.filter((field) => field.name.toLowerCase() !== "content-type"), ...(value ? [{ name: "Content-Type", value }] : [])] }), false)}
          {text("File, or empty", answer.file ?? "", (file) => put({ ...answer, file: file || undefined, body: file ? undefined : (answer.body ?? "") }), false)}
          {!answer.file && <textarea aria-label="Body" placeholder="Body" class="mono" rows={2} value={answer.body ?? ""} onInput={(event) => onChange(put({ ...answer, body: event.currentTarget.value }))} />}
        </>
      );
    }
    case "delayRequest":
    case "delayResponse":
      return number("Milliseconds", content(action, kind).millis, 0, 300_000, (millis) => put({ millis: millis ?? 0 }));
    case "block": {
      const block = content(action, kind);
      return <>{number("Status", block.status, 200, 599, (status) => put({ ...block, status }), false)}{text("Message", block.message ?? "", (message) => put({ ...block, message: message || undefined }), false)}</>;
    }
    case "tag":
      return text("Tag", content(action, kind).tag, (tag) => put({ tag }));
    case "holdRequest":
    case "holdResponse":
      return null;
  }
}
