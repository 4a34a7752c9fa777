import type { JSX } from "preact";

import type { Flow, Phase } from "../../api/types";
import { duration } from "../../lib/format";

const WORDS: Record<Phase["name"], string> = {
  client_tls: "TLS with client",
  gate: "Decide",
  dns: "DNS",
  connect: "Connect",
  tls: "TLS with upstream",
  send: "Send",
  wait: "Wait",
  receive: "Receive",
  held: "Held",
  tunnel: "Tunnel",
};

/** When each phase began and how long it took. */
export function Waterfall({ flow }: { flow: Flow }): JSX.Element | null {
  const end = Math.max(flow.totalMs ?? 0, ...flow.phases.map((phase) => phase.startMs + phase.ms), 0.001);
  if (flow.phases.length === 0) return null;
  const at = (ms: number) => (1000 * ms) / end;
  return (
    <div class="waterfall" role="table" aria-label="Timing">
      {flow.phases.map((phase, i) => (
        <div key={i} role="row" class="fall">
          <span role="rowheader">{WORDS[phase.name]}</span>
          <span role="cell" class="bar">
            <svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" x="0" y="4.5" width="1000" height="1" />
              <rect class={`phase ${phase.name}`} x={at(phase.startMs)} y="0" width={Math.max(4, at(phase.ms))} height="10" />
            </svg>
          </span>
          <span role="cell" class="num">{duration(phase.ms)}</span>
        </div>
      ))}
      <div role="row" class="fall total">
        <span role="rowheader">Total</span>
        <span role="cell" class="bar faint">{flow.reused ? "on a kept connection" : ""}</span>
        <span role="cell" class="num">{flow.totalMs !== undefined ? duration(flow.totalMs) : "open"}</span>
      </div>
    </div>
  );
}
