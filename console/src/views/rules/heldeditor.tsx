import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { change, getJson } from "../../api/client";
import type { BodyText, Flow, Held, RequestEdit, ResponseEdit } from "../../api/types";
import { headersToText, textToHeaders } from "../../lib/headers";
import { complain, now, readOnly, say } from "../../state/ui";
import { Button, Hostile } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { EditorFields, type Draft } from "../traffic/editor";

/** A flow that waits at a breakpoint: change it, let it go on, or drop it. */
export function HeldEditor({ held, flow }: { held: Held; flow: Flow | undefined }): JSX.Element {
  const [draft, setDraft] = useState<Draft>();
  const side = held.phase;
  const part = flow?.[side];
  useEffect(() => {
    if (!flow || !part || draft) return;
    const base: Draft = { method: flow.request?.method ?? "", target: flow.request?.target ?? "", status: String(flow.response?.status ?? ""), headers: headersToText(part.headers), body: "", originalBody: "" };
    if (!held.bodyEditable || !part.body || part.body.captured === 0) return setDraft(base);
    getJson<BodyText>(`/flows/${flow.id}/${side}/text`).then((text) => setDraft({ ...base, body: text.text, originalBody: text.text }), () => setDraft(base));
  }, [flow]);

  const release = async (action: "go-on" | "drop") => {
    try {
      const body: { action: "go-on" | "drop"; request?: RequestEdit; response?: ResponseEdit } = { action };
      if (action === "go-on" && draft && part) {
        const edit: RequestEdit & ResponseEdit = {};
        if (draft.headers !== headersToText(part.headers)) edit.headers = textToHeaders(draft.headers, part.headers);
        if (draft.body !== draft.originalBody) edit.body = { text: draft.body };
        if (side === "request" && draft.method !== flow?.request?.method) edit.method = draft.method;
        if (side === "request" && draft.target !== flow?.request?.target) edit.target = draft.target;
        if (side === "response" && Number(draft.status) !== flow?.response?.status) edit.status = Number(draft.status);
        if (Object.keys(edit).length > 0) body[side] = edit as never;
      }
      await change("POST", `/held/${held.flow.id}`, body);
      say(action === "drop" ? "Dropped" : body.request || body.response ? "Went on, changed" : "Went on");
    } catch (error) {
      complain(error);
    }
  };
  const left = Math.max(0, Math.ceil((Date.parse(held.deadline) - now.value) / 1000));
  return (
    <section class="held-editor" aria-label="Held at a breakpoint">
      <header>
        <Icon name="hold" />
        <b>The {side} is held</b>
        <span class="faint">for {left} s more, then it {held.onTimeout === "drop" ? "is dropped" : "goes on"}</span>
        {held.breakpoint && <span class="chip"><Hostile text={held.breakpoint} /></span>}
        <span class="spring" />
        <Button kind="danger" small disabled={readOnly.value} onClick={() => void release("drop")}>Drop</Button>
        <Button kind="main" small icon="play" disabled={readOnly.value} onClick={() => void release("go-on")}>Go on</Button>
      </header>
      {draft && !readOnly.value && <EditorFields draft={draft} onChange={setDraft} side={side} bodyEditable={held.bodyEditable ?? false} bodyNote={held.bodyEditable ? undefined : "Too large to edit; it passes as it is."} />}
    </section>
  );
}
