// The request or the response: its first line, headers, body, trailers.
import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { ChangedRequest, ChangedResponse, Flow, Header, Side } from "../../api/types";
import { bytes } from "../../lib/format";
import { headerText } from "../../lib/headers";
import { visible } from "../../lib/text";
import { copy, Button, Hostile } from "../../ui/basics";
import { Body } from "./body";

export function MessagePart({ flow, side }: { flow: Flow; side: Side }): JSX.Element {
  const request = side === "request" ? flow.request : undefined;
  const response = side === "response" ? flow.response : undefined;
  const part = request ?? response;
  if (!part) {
    const why =
      flow.treatment === "tunnel" ? "A tunnel: what is inside was not seen."
      : flow.capture === "None" ? "The policy captures nothing of this flow."
      : side === "response" && (flow.state === "open" || flow.state === "held") ? "No response yet."
      : side === "response" ? "There was no response."
      : "No request could be read.";
    return <p class="faint pad">{why}</p>;
  }
  return (
    <div class="part">
      {response?.interim?.map((early, i) => <Headers key={i} title={`Interim response ${early.status}`} headers={early.headers} />)}
      <p class="startline mono">
        {request && <><b><Hostile text={request.method} /></b> <Hostile text={request.target} /> <span class="faint">{request.version}</span></>}
        {response && <><span class="faint">{response.version}</span> <b>{response.status}</b> <Hostile text={response.statusText ?? ""} /></>}
        {response?.fromEgret && <span class="chip">answered by Egret</span>}
      </p>
      <Headers title="Headers" headers={part.headers} />
      {part.body && <Body flow={flow} side={side} info={part.body} />}
      {!part.body && flow.capture !== "Bodies" && <p class="faint pad">Bodies of this flow are not captured (<code>capture: {flow.capture}</code>).</p>}
      {request && flow.changedRequest && <Changed title="Sent to the origin" first={`${flow.changedRequest.method} ${flow.changedRequest.target}`} part={flow.changedRequest} before={request.headers} />}
      {response && flow.changedResponse && <Changed title="Sent to the client" first={`${flow.changedResponse.status} ${flow.changedResponse.statusText ?? ""}`} part={flow.changedResponse} before={response.headers} />}
      {part.trailers && part.trailers.length > 0 && <Headers title="Trailers" headers={part.trailers} />}
    </div>
  );
}

/** What a rule or somebody made of it: the lines that are not as they were stand out. */
function Changed({ title, first, part, before }: { title: string; first: string; part: ChangedRequest | ChangedResponse; before: readonly Header[] }): JSX.Element {
  const line = (header: Header) => `${header.name}: ${header.redacted ? "[redacted]" : headerText(header)}`;
  const left = before.map(line);
  const right = part.headers.map(line);
  return (
    <section class="block changed" aria-label={title}>
      <header><b class="foldtitle">{title}</b> <span class="chip">changed</span></header>
      <p class="startline mono"><Hostile text={first} /></p>
      <pre class="mono difflines">
        {left.filter((text) => !right.includes(text)).map((text, i) => <div key={`-${i}`} class="del">− <Hostile text={text} /></div>)}
        {right.map((text, i) => <div key={i} class={left.includes(text) ? "" : "ins"}>{left.includes(text) ? "  " : "+ "}<Hostile text={text} /></div>)}
      </pre>
      {part.body && <pre class="mono"><Hostile text={part.body.text ?? `(${part.body.base64?.length ?? 0} characters of base64)`} /></pre>}
    </section>
  );
}

function Headers({ title, headers }: { title: string; headers: readonly Header[] }): JSX.Element {
  const [open, setOpen] = useState(true);
  const all = () => headers.map((header) => `${header.name}: ${headerText(header)}`).join("\n");
  return (
    <section class="block">
      <header>
        <button type="button" class="foldtitle" aria-expanded={open} onClick={() => setOpen(!open)}>{title} <span class="faint">{headers.length}</span></button>
        <span class="spring" />
        <Button icon="copy" kind="quiet" small title={`Copy ${title.toLowerCase()}`} onClick={() => void copy(all())} />
      </header>
      {open && (
        <dl class="headers">
          {headers.map((header, i) => (
            <div key={i}>
              <dt><bdi>{visible(header.name)}</bdi></dt>
              <dd>
                {header.redacted ? <span class="chip">redacted</span> : <bdi>{visible(headerText(header))}</bdi>}
                {header.base64 !== undefined && <span class="chip" title="Not UTF-8; shown as Latin-1">bytes</span>}
              </dd>
            </div>
          ))}
          {headers.length === 0 && <div><dt class="faint">none</dt><dd /></div>}
        </dl>
      )}
      {open && headers.some((header) => header.name.length + headerText(header).length > 4096) && <p class="faint pad">The largest has {bytes(Math.max(...headers.map((h) => h.name.length + headerText(h).length)))}.</p>}
    </section>
  );
}
