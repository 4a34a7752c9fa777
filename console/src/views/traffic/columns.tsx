// The columns of the list of flows.
import type { JSX } from "preact";
import { signal } from "@preact/signals";

import type { FlowSummary, Treatment } from "../../api/types";
import { bytes, clock, duration } from "../../lib/format";
import { visible } from "../../lib/text";
import { isHeld } from "../../state/held";
import { recall, remember } from "../../state/ui";
import { Icon } from "../../ui/icons";

export interface Column {
  id: string;
  label: string;
  /** As in `grid-template-columns`. */
  width: string;
  /** Pixels below which it is of no use. */
  min: number;
  /** Where there is no room, columns with higher numbers give way first. */
  gives: number;
  /** The name to sort by, without its sign. */
  sort?: string;
  right?: boolean;
  cell: (flow: FlowSummary) => JSX.Element | string;
}

export const TREATMENT_WORDS: Record<Treatment, string> = {
  tunnel: "tunnel: bytes unseen",
  intercept: "intercept: TLS ended here",
  forward: "forward: plain HTTP",
  local: "local: answered by Egret itself",
};

/** How a flow went, as a class of the style sheet. */
export function tone(flow: FlowSummary): string {
  if (isHeld(flow.id)) return "held";
  if (flow.blame === "policy") return "refused";
  if (flow.reason) return "failed";
  if (flow.status >= 500) return "s5";
  if (flow.status >= 400) return "s4";
  if (flow.status >= 300) return "s3";
  if (flow.state === "open" || flow.state === "held") return "open";
  return "ok";
}

export function StatusChip({ flow }: { flow: FlowSummary }): JSX.Element {
  const text = isHeld(flow.id) ? "held" : flow.status > 0 ? String(flow.status) : flow.state === "open" || flow.state === "held" ? "…" : "–";
  return <span class={`status ${tone(flow)}`}>{text}</span>;
}

function text(value: string | undefined): JSX.Element {
  const shown = visible(value ?? "");
  return <bdi title={shown}>{shown}</bdi>;
}

export const COLUMNS: readonly Column[] = [
  { id: "time", label: "Time", width: "100px", min: 100, gives: 3, sort: "started", cell: (flow) => <span class="faint num">{clock(flow.started)}</span> },
  { id: "method", label: "Method", width: "70px", min: 70, gives: 1, sort: "method", cell: (flow) => <span class={`method ${/^[A-Z]{1,12}$/.test(flow.method) ? flow.method.toLowerCase() : "other"}`}>{visible(flow.method) || "–"}</span> },
  {
    id: "status",
    label: "Status",
    width: "66px",
    min: 66,
    gives: 0,
    sort: "status",
    cell: (flow) => <StatusChip flow={flow} />,
  },
  { id: "treatment", label: "", width: "26px", min: 26, gives: 0, cell: (flow) => <span class={`treat ${flow.treatment}`} title={TREATMENT_WORDS[flow.treatment]}><Icon name={flow.treatment} size={14} title={flow.treatment} /></span> },
  { id: "host", label: "Host", width: "minmax(110px, 1.1fr)", min: 140, gives: 0, sort: "host", cell: (flow) => <span class="host">{text(flow.host)}{flow.port !== undefined && flow.port !== 443 && flow.port !== 80 ? <span class="faint">:{flow.port}</span> : null}</span> },
  {
    id: "path",
    label: "Path",
    width: "minmax(120px, 2fr)",
    min: 140,
    gives: 0,
    cell: (flow) => (
      <>
        {flow.kind !== "http" && flow.kind !== "tunnel" && <span class="kind">{flow.kind}</span>}
        {flow.replayOf && <span class="kind">replay</span>}
        {flow.changed && <span class="kind">changed</span>}
        {flow.changed && <span class="kind warm">changed</span>}
        {flow.reason && <span class={`code ${tone(flow)}`}>{flow.reason}</span>}
        {!flow.reason && flow.auditDenied && <span class="kind warm" title="A policy in audit mode would have denied it">audit</span>}
        {!flow.reason && flow.grpcStatus ? <span class="code failed">grpc-status {flow.grpcStatus}</span> : null}
        {flow.path !== undefined ? text(flow.path) : <span class="faint">{flow.kind === "tunnel" ? "tunnel, bytes unseen" : flow.target === `${flow.host}:${flow.port}` ? "" : visible(flow.target)}</span>}
        {flow.comment && <span class="note" title={visible(flow.comment)}>{visible(flow.comment)}</span>}
      </>
    ),
  },
  { id: "identity", label: "Identity", width: "minmax(90px, .9fr)", min: 110, gives: 4, sort: "identity", cell: (flow) => <span class={flow.proof === "address" ? "faint" : undefined}>{text(flow.identity)}</span> },
  { id: "client", label: "Client", width: "150px", min: 150, gives: 8, cell: (flow) => <span class="faint num">{text(flow.client)}</span> },
  { id: "rule", label: "Rule", width: "minmax(80px, .6fr)", min: 90, gives: 7, cell: (flow) => text(flow.rule) },
  { id: "type", label: "Type", width: "minmax(56px, 92px)", min: 70, gives: 6, cell: (flow) => <span class="faint">{text(shortType(flow.contentType))}</span> },
  { id: "protocol", label: "Protocol", width: "80px", min: 80, gives: 9, cell: (flow) => <span class="faint">{flow.downstream}</span> },
  { id: "up", label: "Up", width: "74px", min: 74, gives: 10, right: true, cell: (flow) => <span class="num faint">{bytes(flow.bytesUp)}</span> },
  { id: "size", label: "Size", width: "74px", min: 74, gives: 5, sort: "bytes", right: true, cell: (flow) => <span class="num">{bytes(flow.bytesUp + flow.bytesDown)}</span> },
  { id: "duration", label: "Duration", width: "86px", min: 86, gives: 2, sort: "totalMs", right: true, cell: (flow) => <span class={`num ${slow(flow.totalMs)}`}>{flow.state === "open" ? <i class="spin" role="img" aria-label="open" /> : duration(flow.totalMs)}</span> },
];

const DEFAULT = ["time", "method", "status", "treatment", "host", "path", "identity", "type", "size", "duration"];

export const shown = signal<ReadonlySet<string>>(
  new Set((recall("columns")?.split(",") ?? DEFAULT).filter((id) => COLUMNS.some((column) => column.id === id))),
);

/** The chosen columns for which there is room, in their order. */
export function fitting(width: number): Column[] {
  const columns = COLUMNS.filter((column) => shown.value.has(column.id));
  let needed = columns.reduce((sum, column) => sum + column.min, 40);
  for (const column of [...columns].sort((a, b) => b.gives - a.gives)) {
    if (needed <= width || column.gives === 0) break;
    columns.splice(columns.indexOf(column), 1);
    needed -= column.min;
  }
  return columns;
}

export function toggleColumn(id: string): void {
  const next = new Set(shown.value);
  if (!next.delete(id)) next.add(id);
  shown.value = next;
  remember("columns", [...next].join(","));
}

function slow(ms: number | undefined): string {
  return ms === undefined ? "" : ms > 5000 ? "very-slow" : ms > 1000 ? "slow" : "";
}

/** `application/json; charset=utf-8` → `json`. */
export function shortType(type: string | undefined): string {
  if (!type) return "";
  const plain = type.split(";")[0]!.trim().toLowerCase();
  const [major = "", minor = ""] = plain.split("/");
  if (major === "image" || major === "font" || major === "video" || major === "audio") return minor ? `${minor.replace(/^x-|\+.*$/g, "")}` : plain;
  return minor.replace(/^(x-|vnd\.)/, "").replace(/^www-form-urlencoded$/, "form") || plain;
}
