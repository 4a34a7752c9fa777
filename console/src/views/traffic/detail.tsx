// One flow, with everything that is known about it.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";

import { change, getJson } from "../../api/client";
import type { Flow, FlowSummary, Mark } from "../../api/types";
import { bytes, dateTime, duration } from "../../lib/format";
import { quote } from "../../lib/filter";
import { known, put, version } from "../../state/flows";
import { listen } from "../../state/live";
import { complain, go, readOnly, server } from "../../state/ui";
import { Button, copy, Facts, Hostile, Menu, Tabs, Trouble, useLoad } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { MessagePart } from "./part";
import { Messages } from "./messages";
import { TraceView } from "./trace";
import { TlsView } from "./tlsview";
import { Waterfall } from "./waterfall";
import { StatusChip, TREATMENT_WORDS } from "./columns";
import { HeldEditor } from "../rules/heldeditor";
import { held } from "../../state/held";

type Tab = "summary" | "request" | "response" | "messages" | "tls" | "policy";
/** Stays the same from flow to flow. */
const tab = signal<Tab>("summary");
let visibleTabs: readonly Tab[] = ["summary"];

export function nextTab(step: 1 | -1): void {
  const at = visibleTabs.indexOf(tab.value);
  tab.value = visibleTabs[(Math.max(0, at) + step + visibleTabs.length) % visibleTabs.length]!;
}

const MARKS: readonly Mark[] = ["red", "orange", "yellow", "green", "blue", "purple"];

export function Detail(props: { id: string; onClose: () => void; onReplay: () => void; onCompare: (flow: FlowSummary) => void; onCurl: () => void; onFilter: (term: string) => void }): JSX.Element {
  const { id } = props;
  const { data: flow, error, again } = useLoad((abort) => getJson<Flow>(`/flows/${id}`, {}, abort), id);
  const stale = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    const stop = listen({
      flows: (event) => {
        if (!event.flows.some((changed) => changed.id === id)) return;
        clearTimeout(stale.current);
        stale.current = setTimeout(again, 150);
      },
    });
    return () => {
      stop();
      clearTimeout(stale.current);
    };
  }, [id]);
  version.value;
  const row: FlowSummary | undefined = flow ?? known(id);
  const waiting = held.value.find((entry) => entry.flow.id === id);

  const tabs = [
    { id: "summary" as const, label: "Summary" },
    { id: "request" as const, label: "Request", disabled: flow && !flow.request },
    { id: "response" as const, label: "Response", disabled: flow && !flow.response },
    ...(row?.messages !== undefined ? [{ id: "messages" as const, label: "Messages", badge: row.messages }] : []),
    { id: "tls" as const, label: "TLS", disabled: flow && !flow.clientTls && !flow.downstreamTls && !flow.upstreamTls },
    { id: "policy" as const, label: "Policy", disabled: flow && !flow.trace },
  ];
  visibleTabs = tabs.map((entry) => entry.id);
  const active = visibleTabs.includes(tab.value) ? tab.value : "summary";

  return (
    <section class="detail" aria-label={`Flow ${id}`}>
      <header class="detail-head">
        <div class="detail-title">
          {row ? (
            <>
              <StatusChip flow={row} />
              <b class="method-word"><Hostile text={row.method || "–"} /></b>
              <span class="detail-url" title={row.target}><Hostile text={row.target} mono /></span>
            </>
          ) : <span class="mono">{id}</span>}
          <Button icon="close" kind="quiet" title="Close (Esc)" onClick={props.onClose} />
        </div>
        {row && (
          <div class="detail-actions">
            <Button icon="copy" small title="Copy as curl (c)" onClick={props.onCurl}>curl</Button>
            <Button icon="replay" small title="Send again, with changes (r)" disabled={readOnly.value || server.value?.features.replay === false || row.treatment === "tunnel" || row.method === "CONNECT"} onClick={props.onReplay}>Replay</Button>
            <Button icon="compare" small title="Compare with another flow (d)" onClick={() => props.onCompare(row)}>Compare</Button>
            <a class="button plain small" href={`/api/v1/export/har?id=${id}`} download={`egret-${id}.har`} title="Export this flow as HAR"><Icon name="download" size={13} /><span>HAR</span></a>
            <Menu icon="flag" label="Mark and comment" iconic title="Mark (m), comment">
              {(close) => <Annotate flow={row} onDone={() => { close(); again(); }} />}
            </Menu>
            <span class="spring" />
            <button type="button" class="linklike mono faint" title="Copy the flow id" onClick={() => void copy(id, "Flow id copied")}>{id}</button>
          </div>
        )}
        <Tabs label="Parts of the flow" tabs={tabs} active={active} onChange={(to) => (tab.value = to)} />
      </header>
      <div class="detail-body" role="tabpanel" aria-label={active} tabIndex={0}>
        {error !== undefined && <Trouble error={error} again={again} />}
        {waiting && <HeldEditor key={waiting.since} held={waiting} />}
        {flow && active === "summary" && <Summary flow={flow} onFilter={props.onFilter} />}
        {flow && active === "request" && <MessagePart flow={flow} side="request" />}
        {flow && active === "response" && <MessagePart flow={flow} side="response" />}
        {flow && active === "messages" && <Messages flow={flow} />}
        {flow && active === "tls" && <TlsView flow={flow} />}
        {flow && active === "policy" && (flow.trace ? <TraceView trace={flow.trace} /> : <p class="faint pad">No policy was asked: the flow ended before the gate.</p>)}
        {!flow && error === undefined && <p class="faint pad">Loading…</p>}
      </div>
    </section>
  );
}

function Summary({ flow, onFilter }: { flow: Flow; onFilter: (term: string) => void }): JSX.Element {
  const by = (term: string) => (
    <button type="button" class="filterby" title={`Filter: ${term}`} aria-label={`Filter by ${term}`} onClick={() => onFilter(term)}><Icon name="filter" size={11} /></button>
  );
  return (
    <div class="summary">
      {flow.reason && (
        <div class={`verdict ${flow.blame}`}>
          <div><code>{flow.reason}</code>{flow.blame && <span class="chip">to act: {flow.blame}</span>}{by(`reason:${flow.reason}`)}</div>
          {flow.what && <p>{flow.what}</p>}
          {flow.detail && <p><Hostile text={flow.detail} /></p>}
          {flow.advice && <p class="advice"><b>Try:</b> {flow.advice}</p>}
          {flow.contact && <p class="advice"><b>Ask:</b> <Hostile text={flow.contact} /></p>}
        </div>
      )}
      {!flow.reason && flow.auditDenied && <div class="verdict audit"><div><code>audit</code></div><p>A policy in audit mode would have denied it. It was let through.</p></div>}
      <Waterfall flow={flow} />
      {flow.comment && <p class="comment"><Icon name="flag" size={13} /> <Hostile text={flow.comment} /></p>}
      <Facts
        rows={[
          ["Started", <span class="num">{dateTime(flow.started)}</span>],
          ["Client", <><Hostile text={flow.client} mono />{by(`client:${quote(flow.client.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""))}`)}</>],
          ["Identity", <><Hostile text={flow.identity} /> <span class="chip">{flow.proof}</span>{by(`identity:${quote(flow.identity)}`)}</>],
          ["Destination", <><Hostile text={flow.port !== undefined ? `${flow.host}:${flow.port}` : flow.host} mono />{by(`host:${quote(flow.host)}`)}</>],
          flow.dialled && ["Dialled", <><Hostile text={flow.dialled} mono />{flow.route && <span class="chip">{flow.route}</span>}{flow.reused && <span class="chip">kept connection</span>}</>],
          ["Treatment", <><span class={`treat ${flow.treatment}`}><Icon name={flow.treatment} size={14} /></span> {TREATMENT_WORDS[flow.treatment]}{by(`treatment:${flow.treatment}`)}</>],
          flow.trace?.treatmentWhy && ["Why", <Hostile text={flow.trace.treatmentWhy} />],
          (flow.rule ?? flow.policy) !== undefined && ["Decided by", <>{flow.policy && <Hostile text={flow.policy} />}{flow.rule && <> <span class="faint">/</span> <Hostile text={flow.rule} />{by(`rule:${quote(flow.rule)}`)}</>}</>],
          ["Protocols", <>{flow.downstream}{flow.upstream && <> <span class="faint">→</span> {flow.upstream}</>}</>],
          ["Payload", <span class="num">↑ {bytes(flow.bytesUp)} ↓ {bytes(flow.bytesDown)}</span>],
          ["Total", <span class="num">{flow.state === "open" ? "still open" : duration(flow.totalMs)}</span>],
          ["Captured", flow.capture],
          flow.userAgent !== undefined && ["User-Agent", <Hostile text={flow.userAgent} />],
          flow.tunnel && ["Inside of", <a href={`#traffic?flow=${flow.tunnel}`} onClick={(event) => { event.preventDefault(); go("traffic", { flow: flow.tunnel }); }}>{flow.tunnel}</a>],
          flow.replayOf && ["Replay of", <a href={`#traffic?flow=${flow.replayOf}`} onClick={(event) => { event.preventDefault(); go("traffic", { flow: flow.replayOf }); }}>{flow.replayOf}</a>],
          flow.listener && ["Listener", <span class="mono">{flow.listener}</span>],
          flow.traceparent !== undefined && ["traceparent", <Hostile text={flow.traceparent} mono />],
          (flow.changes?.length ?? 0) > 0 && ["Changed", <ul class="plainlist">{flow.changes!.map((text, i) => <li key={i}><Hostile text={text} /></li>)}</ul>],
        ]}
      />
      {flow.treatment === "tunnel" && !flow.reason && (
        <p class="tip"><Icon name="tunnel" size={14} /> The bytes of this tunnel were not seen. To look inside, a policy has to say <code>tls: Intercept</code> for this host, and the client has to trust the CA.</p>
      )}
    </div>
  );
}

function Annotate({ flow, onDone }: { flow: FlowSummary; onDone: () => void }): JSX.Element {
  const save = async (body: { mark?: Mark | "none"; comment?: string }) => {
    try {
      put(await change<FlowSummary>("PATCH", `/flows/${flow.id}`, body));
      onDone();
    } catch (error) {
      complain(error);
    }
  };
  return (
    <form
      class="annotate"
      onSubmit={(event) => {
        event.preventDefault();
        void save({ comment: String(new FormData(event.currentTarget).get("comment") ?? "") });
      }}
    >
      <div class="marks" role="group" aria-label="Mark">
        {MARKS.map((mark) => (
          <button key={mark} type="button" class={`markbutton ${mark}`} aria-pressed={flow.mark === mark} aria-label={mark} title={mark} disabled={readOnly.value} onClick={() => void save({ mark: flow.mark === mark ? "none" : mark })} />
        ))}
      </div>
      <textarea name="comment" rows={3} aria-label="Comment" placeholder="Comment" maxLength={4096} disabled={readOnly.value}>{flow.comment ?? ""}</textarea>
      <Button submit kind="main" small disabled={readOnly.value}>Save</Button>
    </form>
  );
}
