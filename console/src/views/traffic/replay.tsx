import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { change, getJson } from "../../api/client";
import type { BodyText, Flow, RequestEdit } from "../../api/types";
import { headersToText, textToHeaders } from "../../lib/headers";
import { complain, go, params, say } from "../../state/ui";
import { Button, Modal, Trouble, useLoad } from "../../ui/basics";
import { EditorFields, type Draft } from "./editor";

/** Sends a request again, changed or not. */
export function ReplayDialog({ id, onClose }: { id: string; onClose: () => void }): JSX.Element {
  const [draft, setDraft] = useState<Draft>();
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const { data, error } = useLoad(async (signal) => {
    const flow = await getJson<Flow>(`/flows/${id}`, {}, signal);
    const body = flow.request?.body;
    const textual = body && body.captured > 0 && !body.truncated && !["image", "grpc", "binary", "multipart"].includes(body.kind);
    const text = textual ? await getJson<BodyText>(`/flows/${id}/request/text`, { length: 1_048_576 }, signal) : undefined;
    return { flow, text: text && !text.truncated && !text.replaced ? text.text : undefined };
  }, id);
  useEffect(() => {
    if (!data?.flow.request) return;
    const { request } = data.flow;
    setDraft({ method: request.method, target: request.target, status: "", headers: headersToText(request.headers), body: data.text ?? "", originalBody: data.text ?? "" });
  }, [data]);

  const send = async () => {
    if (!draft || !data?.flow.request) return;
    setBusy(true);
    setFailure(undefined);
    try {
      const { request } = data.flow;
      const edit: RequestEdit = {};
      if (draft.method !== request.method) edit.method = draft.method;
      if (draft.target !== request.target) edit.target = draft.target;
      if (draft.headers !== headersToText(request.headers)) edit.headers = textToHeaders(draft.headers, request.headers);
      if (draft.body !== draft.originalBody) edit.body = { text: draft.body };
      const { id: made, notes } = await change<{ id: string; notes: string[] }>("POST", `/flows/${id}/replay`, Object.keys(edit).length > 0 ? { edit } : {});
      say(["Sent", ...(notes ?? [])].join(". "));
      onClose();
      go("traffic", { ...params.value, flow: made });
    } catch (problem) {
      setFailure(problem);
      complain(problem);
    } finally {
      setBusy(false);
    }
  };
  const redacted = data?.flow.request && (data.flow.request.headers.some((header) => header.redacted) || data.flow.request.target.includes("%5Bredacted%5D") || (data.text?.includes("[redacted]") ?? false));
  const size = data?.flow.request?.body?.size ?? 0;
  const binary = data !== undefined && data.text === undefined && size > 0;
  return (
    <Modal title="Replay" onClose={onClose} wide footer={<><span class="faint">Passes the gate again, as you.</span><span class="spring" /><Button onClick={onClose}>Cancel</Button><Button kind="main" icon="replay" disabled={!draft || busy} onClick={() => void send()}>Send</Button></>}>
      {(error ?? failure) !== undefined && <Trouble error={error ?? failure} />}
      {redacted && <p class="tip">Values that were redacted are not known any more: header fields are left out unless they are written in, and a URL or a body has to be given whole.</p>}
      {data && !data.flow.request && <p>The request of this flow was not captured, so it cannot be sent again.</p>}
      {draft && <EditorFields draft={draft} onChange={setDraft} side="request" bodyEditable={!binary || draft.body !== ""} bodyNote={binary ? "The body is sent as it was captured." : undefined} />}
    </Modal>
  );
}
