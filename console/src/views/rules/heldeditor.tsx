import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { getJson } from "../../api/client";
import type { Held, HeldDetail, RequestEdit, ResponseEdit } from "../../api/types";
import { headersToText, textToHeaders } from "../../lib/headers";
import { complain, now, readOnly } from "../../state/ui";
import { Button, Hostile } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { EditorFields, type Draft } from "../traffic/editor";
import { release, type Order } from "./release";

/** A flow that waits at a breakpoint: change it, let it go on, answer or drop it. */
export function HeldEditor({ held }: { held: Held }): JSX.Element {
  const [detail, setDetail] = useState<HeldDetail>();
  const [draft, setDraft] = useState<Draft>();
  const [answer, setAnswer] = useState<Draft>();
  const side = held.phase;
  const part = detail?.[side];
  useEffect(() => {
    const controller = new AbortController();
    getJson<HeldDetail>(`/held/${held.flow.id}`, {}, controller.signal).then(
      (loaded) => {
        const message = loaded[held.phase];
        const body = loaded.body?.text ?? "";
        setDetail(loaded);
        setDraft({ method: loaded.request.method, target: loaded.request.target, status: String(loaded.response?.status ?? ""), headers: headersToText(message?.headers ?? []), body, originalBody: body });
      },
      (error: unknown) => controller.signal.aborted || complain(error),
    );
    return () => controller.abort();
  }, [held.flow.id, held.phase, held.since]);

  const order = (): Order => {
    if (!draft || !part || !detail) return { action: "go-on" };
    const edit: RequestEdit & ResponseEdit = {};
    if (draft.headers !== headersToText(part.headers)) edit.headers = textToHeaders(draft.headers, part.headers);
    if (draft.body !== draft.originalBody) edit.body = { text: draft.body };
    if (side === "request" && draft.method !== detail.request.method) edit.method = draft.method;
    if (side === "request" && draft.target !== detail.request.target) edit.target = draft.target;
    if (side === "response" && Number(draft.status) !== detail.response?.status) edit.status = Number(draft.status);
    return Object.keys(edit).length > 0 ? { action: "go-on", [side]: edit } : { action: "go-on" };
  };
  const goOn = () => {
    try {
      if (answer) void release(held, { action: "answer", response: { status: Number(answer.status), headers: textToHeaders(answer.headers, []), body: { text: answer.body } } });
      else void release(held, order());
    } catch (error) {
      complain(error);
    }
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
      if (readOnly.value || document.querySelector("dialog[open]") || event.altKey || event.defaultPrevented) return;
      const withEnter = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      const plain = !typing && !event.ctrlKey && !event.metaKey;
      if (withEnter || (plain && event.key === "a")) goOn();
      else if (plain && event.key === "X") void release(held, { action: "drop" });
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  });
  const left = Math.max(0, Math.ceil((Date.parse(held.deadline) - now.value) / 1000));
  const note = !held.bodyEditable
    ? "Longer than limits.heldBodyBytes, or without an end; it passes as it is."
    : detail?.body?.base64 !== undefined
      ? "Not text; it passes as it is unless something is written here."
      : detail?.body?.redacted
        ? "Something was redacted: write it whole to change it."
        : undefined;
  return (
    <section class="held-editor" aria-label="Held at a breakpoint">
      <header>
        <Icon name="hold" />
        <b>The {side} is held</b>
        <span class="faint">for {left} s more, then it {held.onTimeout === "drop" ? "is dropped" : "goes on"}</span>
        {held.filter && <span class="chip"><Hostile text={held.filter} /></span>}
        <span class="spring" />
        {side === "request" && <Button small pressed={answer !== undefined} disabled={readOnly.value} title="Answer it in place of the origin" onClick={() => setAnswer(answer ? undefined : { method: "", target: "", status: "200", headers: "Content-Type: text/plain", body: "", originalBody: "" })}>Answer</Button>}
        <Button kind="danger" small disabled={readOnly.value} title="Refuse it (X)" onClick={() => void release(held, { action: "drop" })}>Drop</Button>
        <Button kind="main" small icon="play" disabled={readOnly.value} title="Go on (a, or Ctrl Enter while editing)" onClick={goOn}>{answer ? "Send the answer" : "Go on"}</Button>
      </header>
      {answer && !readOnly.value && <EditorFields draft={answer} onChange={setAnswer} side="response" bodyEditable />}
      {!answer && draft && !readOnly.value && <EditorFields draft={draft} onChange={setDraft} side={side} bodyEditable={held.bodyEditable ?? false} bodyNote={note} />}
    </section>
  );
}
