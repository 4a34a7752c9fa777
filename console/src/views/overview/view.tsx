// Overview: who talks to whom, how much, how fast, and what goes wrong.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { getJson } from "../../api/client";
import type { Stats, StatsPoint } from "../../api/types";
import { bytes, count, duration, percent, rate, whole } from "../../lib/format";
import { quote } from "../../lib/filter";
import { listen } from "../../state/live";
import { go, server, stored, remember } from "../../state/ui";
import { Ago, Empty, Facts, Hostile, Trouble, useLoad } from "../../ui/basics";
import { Chart } from "./chart";
import { EdgeTable, SankeyView, type Metric } from "./sankeyview";

const WINDOWS = ["5m", "15m", "1h", "6h"] as const;
type Window = (typeof WINDOWS)[number];
const PHASES: Record<Stats["latency"][number]["phase"], string> = { dns: "DNS", connect: "Connect", tls: "TLS with upstream", client_tls: "TLS with client", first_byte: "First byte", total: "Total" };

export function OverviewView(): JSX.Element {
  const [span, setSpan] = useState<Window>(stored("window", WINDOWS, "15m"));
  const [metric, setMetric] = useState<Metric>("flows");
  const [table, setTable] = useState(false);
  const [kept, setKept] = useState<Stats>();
  const [live, setLive] = useState<StatsPoint[]>([]);
  const { data, error, again } = useLoad((signal) => getJson<Stats>("/stats", { window: span }, signal), span);
  // The last figures stay on the page while new ones are on their way.
  useEffect(() => {
    if (!data) return;
    setKept(data);
    setLive([]);
  }, [data]);
  useEffect(() => {
    const timer = setInterval(again, 10_000);
    const stop = listen({
      stats: (point) => setLive((points) => [...points.slice(-600), point]),
      hello: (event) => !event.resumed && again(),
      lost: again,
    });
    return () => {
      clearInterval(timer);
      stop();
    };
  }, []);

  const stats = kept;
  const latest = live[live.length - 1] ?? stats?.series[stats.series.length - 1];
  const series = stats ? merge(stats, live) : [];
  return (
    <div class="page overview">
      <header class="page-head">
        <h1>Overview</h1>
        <p>{server.value && <>Egret {server.value.version}{server.value.instance && <span class="faint"> · {server.value.instance}</span>} · started <Ago time={server.value.started} /></>}</p>
        <span class="spring" />
        <div class="segments" role="group" aria-label="Span of time">
          {WINDOWS.map((name) => <button key={name} type="button" aria-pressed={name === span} onClick={() => { setSpan(name); remember("window", name); }}>{name}</button>)}
        </div>
      </header>
      {error !== undefined && <Trouble error={error} again={again} />}
      {!stats && error === undefined && <p class="faint pad">Loading…</p>}
      {stats && (
        <>
          <div class="tiles">
            <Tile label="Flows a second" value={rate(latest?.flows ?? 0)} note={`${whole(stats.totals.flows)} in ${stats.window}`} />
            <Tile label="Errors" value={percent(stats.totals.errors, stats.totals.flows)} note={`${whole(stats.totals.errors)} failed`} tone={stats.totals.errors > 0 ? "bad" : undefined} onClick={() => go("traffic", { filter: "is:failed !is:refused" })} />
            <Tile label="Refused" value={percent(stats.totals.refusals, stats.totals.flows)} note={`${whole(stats.totals.refusals)} by policy`} tone={stats.totals.refusals > 0 ? "warn" : undefined} onClick={() => go("traffic", { filter: "is:refused" })} />
            <Tile label="Latency, median" value={duration(latest?.p50)} note={`p99 ${duration(latest?.p99)}`} />
            <Tile label="Bytes a second" value={bytes((latest?.bytesUp ?? 0) + (latest?.bytesDown ?? 0))} note={`↑ ${bytes(stats.totals.bytesUp)} ↓ ${bytes(stats.totals.bytesDown)}`} />
            <Tile label="Open now" value={count(latest?.open ?? stats.totals.open)} note={`${whole(stats.totals.tunnelsOpen)} tunnels`} onClick={() => go("traffic", { filter: "is:open" })} />
          </div>

          <section class="card">
            <header>
              <h2>Who talks to whom</h2>
              <span class="spring" />
              <div class="segments" role="group" aria-label="Measure">
                {(["flows", "bytes", "errors"] as const).map((name) => <button key={name} type="button" aria-pressed={name === metric} onClick={() => setMetric(name)}>{name === "errors" ? "Trouble" : name === "bytes" ? "Bytes" : "Flows"}</button>)}
              </div>
              <div class="segments" role="group" aria-label="Form">
                <button type="button" aria-pressed={!table} onClick={() => setTable(false)}>Diagram</button>
                <button type="button" aria-pressed={table} onClick={() => setTable(true)}>Table</button>
              </div>
            </header>
            {stats.edges.length === 0 ? <Empty icon="overview" title="Nothing yet"><p>Send something through the proxy.</p></Empty>
            : table ? <EdgeTable edges={stats.edges} />
            : <SankeyView edges={stats.edges} metric={metric} />}
            {stats.otherEdges > 0 && <p class="faint pad">{whole(stats.otherEdges)} more pairs are not shown.</p>}
          </section>

          <div class="grid3">
            <section class="card"><h2>Flows a second</h2><Chart label="Flows a second" points={series} lines={[{ key: "flows", label: "flows", tone: "main" }, { key: "errors", label: "errors", tone: "bad" }, { key: "refusals", label: "refused", tone: "warn" }]} format={rate} /></section>
            <section class="card"><h2>Latency</h2><Chart label="Latency percentiles" points={series} lines={[{ key: "p50", label: "p50", tone: "main" }, { key: "p90", label: "p90", tone: "blue" }, { key: "p99", label: "p99", tone: "purple" }]} format={duration} /></section>
            <section class="card"><h2>Bytes a second</h2><Chart label="Bytes a second" points={series} lines={[{ key: "bytesDown", label: "down", tone: "main" }, { key: "bytesUp", label: "up", tone: "blue" }]} format={bytes} /></section>
          </div>

          <div class="grid2">
            <section class="card flush">
              <header><h2>What goes wrong</h2></header>
              {stats.reasons.length === 0 ? <p class="pad good-news">Nothing failed and nothing was refused in {stats.window}.</p> : (
                <table class="table">
                  <thead><tr><th>Reason</th><th>To act</th><th class="right">Flows</th><th /><th>Last</th></tr></thead>
                  <tbody>
                    {stats.reasons.map((reason) => (
                      <tr key={reason.code}>
                        <td><a href={`#traffic?filter=reason:${reason.code}`} title={reason.what} onClick={(event) => { event.preventDefault(); go("traffic", { filter: `reason:${quote(reason.code)}` }); }}><code>{reason.code}</code></a></td>
                        <td><span class={`chip blame-${reason.blame}`}>{reason.blame}</span></td>
                        <td class="right num">{whole(reason.count)}</td>
                        <td class="barcell"><meter class={`meter ${reason.blame}`} min={0} max={stats.reasons[0]!.count} value={reason.count} aria-label={`${reason.count} of ${stats.reasons[0]!.count}`} /></td>
                        <td><Ago time={reason.lastSeen} /></td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              )}
            </section>
            <section class="card flush">
              <header><h2>Latency by phase</h2></header>
              <table class="table">
                <thead><tr><th>Phase</th><th class="right">Median</th><th class="right">p90</th><th class="right">p99</th><th class="right">Times</th></tr></thead>
                <tbody>
                  {stats.latency.map((row) => (
                    <tr key={row.phase}><th scope="row">{PHASES[row.phase]}</th><td class="right num">{duration(row.p50)}</td><td class="right num">{duration(row.p90)}</td><td class="right num">{duration(row.p99)}</td><td class="right num faint">{count(row.count)}</td></tr>
                  ))}
                </tbody>
              </table>
              <header><h2>What was done</h2></header>
              <Shares counts={stats.treatments} word="treatment" />
              <header><h2>Status</h2></header>
              <Shares counts={stats.statusClasses} word="status" />
            </section>
          </div>
          {server.value && <StoreFacts />}
        </>
      )}
    </div>
  );
}

/** The history with the live seconds behind it, without an overlap. */
function merge(stats: Stats, live: StatsPoint[]): StatsPoint[] {
  const last = stats.series[stats.series.length - 1]?.t ?? 0;
  const first = stats.series[0]?.t ?? 0;
  const fresh = live.filter((point) => point.t > last);
  // Seconds are gathered into steps as wide as the history's, or a long window would end in noise.
  const steps = new Map<number, StatsPoint[]>();
  for (const point of fresh) {
    const step = last + Math.ceil((point.t - last) / stats.stepMs) * stats.stepMs;
    steps.set(step, [...(steps.get(step) ?? []), point]);
  }
  const gathered = [...steps].map(([, points]) => average(points));
  return [...stats.series, ...gathered].filter((point) => point.t >= first);
}

function average(points: StatsPoint[]): StatsPoint {
  const mean = (key: keyof StatsPoint) => points.reduce((sum, point) => sum + (point[key] ?? 0), 0) / points.length;
  const last = points[points.length - 1]!;
  return { t: last.t, flows: mean("flows"), errors: mean("errors"), refusals: mean("refusals"), bytesUp: mean("bytesUp"), bytesDown: mean("bytesDown"), p50: mean("p50"), p90: mean("p90"), p99: mean("p99"), open: last.open };
}

function Tile(props: { label: string; value: string; note: string; tone?: "bad" | "warn"; onClick?: () => void }): JSX.Element {
  const inner = <><span class="tile-label">{props.label}</span><b class={props.tone}>{props.value}</b><small>{props.note}</small></>;
  return props.onClick ? <button type="button" class="tile" onClick={props.onClick}>{inner}</button> : <div class="tile">{inner}</div>;
}

function Shares({ counts, word }: { counts: Record<string, number>; word: string }): JSX.Element {
  const entries = Object.entries(counts).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const total = entries.reduce((sum, [, n]) => sum + n, 0);
  let at = 0;
  return (
    <div class="shares">
      <svg viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">
        {entries.map(([name, n]) => {
          const x = at;
          at += (1000 * n) / Math.max(1, total);
          return <rect key={name} class={`share ${word}-${name}`} x={x} y="0" width={Math.max(0, at - x - 2)} height="8" />;
        })}
      </svg>
      <ul>
        {entries.map(([name, n]) => (
          <li key={name}><button type="button" class="linklike" onClick={() => go("traffic", { filter: `${word}:${name === "none" ? "0" : name}` })}><i class={`dot ${word}-${name}`} /> {name} <b class="num">{count(n)}</b> <span class="faint">{percent(n, total)}</span></button></li>
        ))}
      </ul>
    </div>
  );
}

function StoreFacts(): JSX.Element {
  const { store, capture, listeners } = server.value!;
  return (
    <section class="card">
      <h2>This proxy</h2>
      <Facts
        rows={[
          ["Listens on", <span>{listeners.map((listener) => <span key={listener.url} class="listener"><code>{listener.url}</code> <span class="faint">{listener.protocols.join(", ")}{listener.tls && listener.clientAuth ? `, client certificate ${listener.clientAuth}` : ""}</span></span>)}</span>],
          ["Captures", <>{capture.default} by default, bodies up to {bytes(capture.bodyLimitBytes)}{capture.redactedHeaders && capture.redactedHeaders.length > 0 && <span class="faint"> · redacted: <Hostile text={capture.redactedHeaders.join(", ")} /></span>}</>],
          ["Flow store", <>{whole(store.flows)} of {whole(store.capacity)} flows, {bytes(store.bodyBytes)} of {bytes(store.bodyCapacityBytes)} for bodies{store.persistent ? ", survives a restart" : ", in memory"}{store.evicted > 0 && <span class="faint"> · {whole(store.evicted)} made room</span>}</>],
        ]}
      />
    </section>
  );
}
