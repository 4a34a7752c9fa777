// Two flows beside each other, made here from what both say.
import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { getJson } from "../../api/client";
import type { BodyText, Flow, Side } from "../../api/types";
import { diffLines, hunks, type Line } from "../../lib/diff";
import { bytes, duration } from "../../lib/format";
import { headerText } from "../../lib/headers";
import { parseJson, prettyJson } from "../../lib/jsontree";
import { visible } from "../../lib/text";
import { Hostile, Modal, Tabs, Trouble, useLoad } from "../../ui/basics";

interface Both {
  flow: Flow;
  request: string[];
  response: string[];
}

async function load(id: string, signal: AbortSignal): Promise<Both> {
  const flow = await getJson<Flow>(`/flows/${id}`, {}, signal);
  const side = async (name: Side): Promise<string[]> => {
    const part = flow[name];
    if (!part) return [];
    const first = flow.request && name === "request" ? `${flow.request.method} ${flow.request.target}` : `${flow.response?.status} ${flow.response?.statusText ?? ""}`;
    const headers = part.headers.map((header) => `${header.name.toLowerCase()}: ${header.redacted ? "[redacted]" : headerText(header)}`);
    return [first, ...headers, "", ...(await bodyLines(flow, name, signal))];
  };
  return { flow, request: await side("request"), response: await side("response") };
}

async function bodyLines(flow: Flow, side: Side, signal: AbortSignal): Promise<string[]> {
  const info = flow[side]?.body;
  if (!info || info.captured === 0) return [];
  if (["image", "grpc", "binary"].includes(info.kind)) return [`(${info.kind}, ${info.size} bytes, sha256 ${info.sha256 ?? "unknown"})`];
  const { text } = await getJson<BodyText>(`/flows/${flow.id}/${side}/text`, { length: 524_288 }, signal);
  if (info.kind === "json") {
    try {
      return prettyJson(parseJson(text)).split("\n");
    } catch {
      // Then as it stands.
    }
  }
  return text.split(/\r?\n/);
}

export function DiffView({ left, right, onClose }: { left: string; right: string; onClose: () => void }): JSX.Element {
  const [side, setSide] = useState<Side>("request");
  const { data, error } = useLoad(async (signal) => Promise.all([load(left, signal), load(right, signal)]), `${left} ${right}`);
  return (
    <Modal title="Compare two flows" onClose={onClose} wide>
      {error !== undefined && <Trouble error={error} />}
      {!data && error === undefined && <p class="faint">Loading…</p>}
      {data && (
        <>
          <table class="table compare">
            <thead><tr><th /><th>{left}</th><th>{right}</th></tr></thead>
            <tbody>
              {rows(data[0].flow, data[1].flow).map(([name, a, b]) => (
                <tr key={name} class={a === b ? "same" : "differs"}>
                  <th scope="row">{name}</th>
                  <td><Hostile text={a} /></td>
                  <td><Hostile text={b} /></td>
                </tr>
              ))}
            </tbody>
          </table>
          <Tabs label="Side" active={side} onChange={setSide} tabs={[{ id: "request", label: "Request" }, { id: "response", label: "Response" }]} />
          <DiffLines left={data[0][side]} right={data[1][side]} />
        </>
      )}
    </Modal>
  );
}

function rows(a: Flow, b: Flow): [string, string, string][] {
  const of = (flow: Flow): [string, string][] => [
    ["Identity", flow.identity],
    ["Destination", flow.port !== undefined ? `${flow.host}:${flow.port}` : flow.host],
    ["Status", `${flow.status}${flow.reason ? ` ${flow.reason}` : ""}`],
    ["Treatment", flow.treatment],
    ["Rule", [flow.policy, flow.rule].filter(Boolean).join(" / ")],
    ["Protocols", `${flow.downstream} → ${flow.upstream ?? "–"}`],
    ["Dialled", flow.dialled ?? "–"],
    ["Payload", `↑ ${bytes(flow.bytesUp)} ↓ ${bytes(flow.bytesDown)}`],
    ["First byte", duration(flow.firstByteMs)],
    ["Total", duration(flow.totalMs)],
  ];
  const right = of(b);
  return of(a).map(([name, value], i) => [name, value, right[i]![1]]);
}

function DiffLines({ left, right }: { left: string[]; right: string[] }): JSX.Element {
  const lines = diffLines(left, right);
  if (lines.every((line) => line.kind === "same")) return <p class="faint pad">{lines.length === 0 ? "Neither has anything here." : "No difference."}</p>;
  return (
    <div class="diff" tabIndex={0}>
      {hunks(lines).map((hunk, i) => hunk.kind === "skipped" ? (
        <div key={i} class="skipped">{hunk.lines.length} equal lines</div>
      ) : hunk.lines.map((line, j) => <DiffLine key={`${i}.${j}`} line={line} />))}
    </div>
  );
}

function DiffLine({ line }: { line: Line }): JSX.Element {
  return (
    <div class={`dl ${line.kind}`}>
      <span class="ln">{line.left ?? ""}</span>
      <span class="ln">{line.right ?? ""}</span>
      <span class="sign" role="img" aria-label={line.kind}>{line.kind === "gone" ? "−" : line.kind === "new" ? "+" : " "}</span>
      <code>{visible(line.text) || " "}</code>
    </div>
  );
}
