// Traffic: the list, its filter, and the flow that is open beside it.
import type { JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";

import { change, getText, url } from "../../api/client";
import type { FlowSummary, Mark } from "../../api/types";
import { and, has, without } from "../../lib/filter";
import { plainKey } from "../../lib/keys";
import { count, whole } from "../../lib/format";
import { admit, filter, filterProblem, following, known, loaded, paused, put, reload, reloadSoon, rowAt, rowCount, selection, showNew, sort, storeTotal, take, toggleSelected, version, waitingCount } from "../../state/flows";
import { listen } from "../../state/live";
import { complain, go, params, readOnly, recall, remember, say, server } from "../../state/ui";
import { Button, Code, copy, Menu, Modal } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { COLUMNS, shown, toggleColumn } from "./columns";
import { Detail, nextTab } from "./detail";
import { DiffView } from "./diffview";
import { FilterBar } from "./filterbar";
import { FlowList, type ListHandle } from "./list";
import { ReplayDialog } from "./replay";

const CHIPS: readonly [string, string, string][] = [
  ["Failed", "is:failed", "Something went wrong, whoever has to act"],
  ["Refused", "is:refused", "Policy said no"],
  ["Intercepted", "treatment:intercept", "TLS was ended here"],
  ["Tunnels", "treatment:tunnel", "Bytes were not seen"],
  ["WebSocket", "kind:websocket", "With messages"],
  ["gRPC", "kind:grpc", "With frames"],
  ["Slow", "time:>1s", "Took longer than a second"],
  ["Errors 5xx", "status:>=500", "The origin or a gateway failed"],
];

const MARKS: readonly (Mark | "none")[] = ["red", "orange", "yellow", "green", "blue", "purple", "none"];

/** The first of two flows to compare. */
export const compareWith = signal<FlowSummary | undefined>(undefined);

export function TrafficView(): JSX.Element {
  const id = params.value.flow;
  const [diff, setDiff] = useState<[string, string]>();
  const [replaying, setReplaying] = useState<string>();
  const [clearing, setClearing] = useState(false);
  const list = useRef<ListHandle | null>(null);
  const open = id !== undefined;

  // The address says what is shown, so that a link and the back button do.
  useEffect(() => {
    const wantedFilter = params.value.filter ?? "";
    const wantedSort = params.value.sort ?? "-started";
    if (wantedFilter !== filter.value || wantedSort !== sort.value || !loaded.value) {
      filter.value = wantedFilter;
      sort.value = wantedSort;
      void reload();
    }
  }, [params.value.filter, params.value.sort]);
  useEffect(
    () =>
      listen({
        flows: take,
        // What came before the stream stood would be missing.
        hello: (event) => !event.resumed && void reload(),
        lost: (event) => {
          say(event.why === "restarted" ? "Egret was restarted: the list is loaded again." : `${event.count ? `${count(event.count)} events` : "Events"} were lost on the way: the list is loaded again.`);
          void reload();
        },
      }),
    [],
  );

  const apply = useCallback((text: string) => go("traffic", { ...params.value, filter: text }, false), []);
  const pick = useCallback((flow: FlowSummary) => go("traffic", { ...params.value, flow: flow.id }, params.value.flow !== undefined), []);
  const close = () => {
    go("traffic", { ...params.value, flow: undefined });
    document.getElementById("flows")?.focus();
  };
  const compare = (flow: FlowSummary) => {
    const first = compareWith.value;
    if (!first) {
      compareWith.value = flow;
      say("Chosen. Press d on another flow to compare the two.");
    } else if (first.id === flow.id) compareWith.value = undefined;
    else {
      setDiff([first.id, flow.id]);
      compareWith.value = undefined;
    }
  };
  const pause = () => {
    paused.value = !paused.value;
    if (!paused.value) showNew();
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const target = event.target as HTMLElement;
      const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
      const key = plainKey({ key: event.key, ctrlKey: event.ctrlKey, metaKey: event.metaKey, altKey: event.altKey, typing });
      if (key === undefined || typing) return;
      // Space and Enter press the button or tab that has the focus, arrows scroll what has it.
      const onControl = target.closest("button, a, summary, [role=tab]") !== null;
      const inDetail = target.closest(".detail") !== null;
      const flow = id ? known(id) : undefined;
      const act: Record<string, (() => void) | false | undefined> = {
        "/": () => document.getElementById("filter")?.focus(),
        j: () => list.current?.move(1),
        k: () => list.current?.move(-1),
        ArrowDown: !inDetail && (() => list.current?.move(1)),
        ArrowUp: !inDetail && (() => list.current?.move(-1)),
        g: () => list.current?.toEnd("first"),
        G: () => list.current?.toEnd("last"),
        Home: !inDetail && (() => list.current?.toEnd("first")),
        End: !inDetail && (() => list.current?.toEnd("last")),
        PageUp: !inDetail && (() => list.current?.page(-1)),
        PageDown: !inDetail && (() => list.current?.page(1)),
        Enter: !onControl && (() => (id ? document.querySelector<HTMLElement>(".detail [role=tab][aria-selected=true]")?.focus() : list.current?.move(0))),
        p: pause,
        " ": !onControl && !inDetail && pause,
        e: () => exportHar(),
        "[": () => nextTab(-1),
        "]": () => nextTab(1),
        Escape: open && close,
        x: id !== undefined && (() => toggleSelected(id)),
        c: id !== undefined && (() => void copyCurl(id)),
        u: flow && (() => void copy(flow.target, "URL copied")),
        r: id !== undefined && !readOnly.value && (() => setReplaying(id)),
        d: flow && (() => compare(flow)),
        m: flow && !readOnly.value && (() => void mark(flow)),
      };
      const run = act[key];
      if (!run) return;
      event.preventDefault();
      run();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  });

  version.value;
  const total = rowCount();
  const empty = loaded.value && total === 0 && waitingCount.value === 0;
  return (
    <div class={open ? "traffic split" : "traffic"}>
      <div class="toolbar">
        <FilterBar onApply={apply} values={seenValues} />
        <Button icon={paused.value ? "play" : "pause"} pressed={paused.value} title={paused.value ? "Go on (p)" : "Pause (p): new flows wait"} onClick={pause}>{paused.value ? "Paused" : "Pause"}</Button>
        <Menu icon="columns" label="Columns" iconic title="Columns">
          {() => COLUMNS.map((column) => (
            <label key={column.id} class="menu-check">
              <input type="checkbox" checked={shown.value.has(column.id)} onChange={() => toggleColumn(column.id)} />
              {column.label || "Treatment"}
            </label>
          ))}
        </Menu>
        <Button icon="download" title="Export as HAR (e): the selected flows, or all that the filter finds" onClick={exportHar} />
        <Button icon="trash" title="Forget flows that have ended" disabled={readOnly.value} onClick={() => setClearing(true)} />
      </div>
      <div class="chips" role="group" aria-label="Common filters">
        {CHIPS.map(([label, term, title]) => {
          const on = has(filter.value, term);
          return <button key={term} type="button" class={on ? "chipbutton on" : "chipbutton"} aria-pressed={on} title={`${title}: ${term}`} onClick={() => apply(on ? without(filter.value, term) : and(filter.value, term))}>{label}</button>;
        })}
        <span class="spring" />
        {selection.value.size > 0 && <span class="tally">{selection.value.size} selected <button type="button" class="linklike" onClick={() => (selection.value = new Set())}>none</button></span>}
        {compareWith.value && <span class="tally">comparing {compareWith.value.id} with … <button type="button" class="linklike" onClick={() => (compareWith.value = undefined)}>stop</button></span>}
        {waitingCount.value > 0 && !following() && (
          <button
            type="button"
            class="newflows"
            title="Show them"
            onClick={() => {
              document.getElementById("flows")?.scrollTo({ top: 0 });
              showNew();
            }}
          >
            <Icon name="up" size={12} /> {count(waitingCount.value)} new
          </button>
        )}
        <span class="tally" role="status">
          {filter.value ? <><b>{whole(total)}</b> of {whole(Math.max(total, storeTotal.value))} flows</> : <><b>{whole(total)}</b> flows</>}
        </span>
      </div>
      <div class="panes">
        <div class="pane-list">
          {empty && !filterProblem.value ? (filter.value ? <NothingFound onClear={() => apply("")} /> : <FirstSteps />) : (
            <FlowList current={id} onCurrent={pick} onSort={(to) => go("traffic", { ...params.value, sort: to === "-started" ? undefined : to })} handle={list} />
          )}
        </div>
        {open && (
          <>
            <Splitter />
            <Detail key={id} id={id} onClose={close} onReplay={() => setReplaying(id)} onCompare={compare} onCurl={() => void copyCurl(id)} onFilter={(term) => apply(and(filter.value, term))} />
          </>
        )}
      </div>
      {diff && <DiffView left={diff[0]} right={diff[1]} onClose={() => setDiff(undefined)} />}
      {replaying && <ReplayDialog id={replaying} onClose={() => setReplaying(undefined)} />}
      {clearing && <ClearDialog onClose={() => setClearing(false)} />}
    </div>
  );
}

/** Values that the rows at hand have, for completion. */
function seenValues(): Record<string, string[]> {
  const sets: Record<string, Set<string>> = { host: new Set(), identity: new Set(), reason: new Set(), rule: new Set(), policy: new Set(), method: new Set() };
  for (let i = 0; i < Math.min(400, rowCount()); i++) {
    const flow = rowAt(i);
    if (!flow) continue;
    sets.host!.add(flow.host);
    sets.identity!.add(flow.identity);
    sets.method!.add(flow.method);
    if (flow.reason) sets.reason!.add(flow.reason);
    if (flow.rule) sets.rule!.add(flow.rule);
    if (flow.policy) sets.policy!.add(flow.policy);
  }
  return Object.fromEntries(Object.entries(sets).map(([name, set]) => [name, [...set].filter((value) => value !== "").sort()]));
}

async function copyCurl(id: string): Promise<void> {
  try {
    await copy(await getText(`/flows/${id}/curl`), "Copied as curl");
  } catch (error) {
    complain(error);
  }
}

/** A download by the browser; the proxy makes it as a stream. */
function exportHar(): void {
  const ids = [...selection.value];
  const link = document.createElement("a");
  link.href = url("/export/har", ids.length > 0 ? { id: ids.join(",") } : { filter: filter.value });
  link.download = "egret.har";
  link.click();
  say(ids.length > 0 ? `Exporting ${ids.length} selected flows` : `Exporting ${whole(rowCount())} flows`);
}

async function mark(flow: FlowSummary): Promise<void> {
  const next = MARKS[(MARKS.indexOf(flow.mark ?? "none") + 1) % MARKS.length]!;
  try {
    put(await change<FlowSummary>("PATCH", `/flows/${flow.id}`, { mark: next }));
  } catch (error) {
    complain(error);
  }
}

function ClearDialog({ onClose }: { onClose: () => void }): JSX.Element {
  const clear = async () => {
    try {
      const { removed } = await change<{ removed: number }>("DELETE", "/flows", undefined, { filter: filter.value });
      say(`${whole(removed)} flows forgotten`);
      selection.value = new Set();
      admit();
      reloadSoon(0);
      onClose();
    } catch (error) {
      complain(error);
    }
  };
  return (
    <Modal title="Forget flows" onClose={onClose} footer={<><Button onClick={onClose}>Keep them</Button><Button kind="danger" onClick={() => void clear()}>Forget</Button></>}>
      <p>{filter.value ? <>All flows that have ended and match <code>{filter.value}</code> are removed</> : <>All flows that have ended are removed</>}, with their bodies, for everybody. The access log is not touched.</p>
    </Modal>
  );
}

function NothingFound({ onClear }: { onClear: () => void }): JSX.Element {
  return (
    <div class="empty">
      <Icon name="search" size={28} />
      <h2>No flow matches</h2>
      <p><code>{filter.value}</code></p>
      <Button onClick={onClear}>Clear the filter</Button>
    </div>
  );
}

/** Nothing has come yet: say exactly what to type. */
function FirstSteps(): JSX.Element {
  const facts = server.value;
  const proxy = facts?.listeners.find((listener) => listener.protocols.includes("http") && !listener.tls)?.url ?? facts?.listeners[0]?.url ?? "http://127.0.0.1:8888";
  const intercept = facts?.features.intercept ?? false;
  return (
    <div class="empty first">
      <h1>Nothing has passed yet</h1>
      <p>Send something through the proxy. It shows up here at once.</p>
      <Code label="Try">{`curl -x ${proxy} https://example.com/`}</Code>
      {intercept ? (
        <>
          <p>TLS of some hosts is ended here, so that requests inside can be seen. curl has to trust Egret's CA for them:</p>
          <Code label="Try with the CA">{`curl -o egret-ca.pem ${location.origin}/ca.pem\ncurl -x ${proxy} --cacert egret-ca.pem https://example.com/`}</Code>
        </>
      ) : (
        <p class="faint">HTTPS passes as tunnels: you see who connects where, not what is inside. To look inside, start <code>egret proxy --intercept</code>, or write <code>tls: Intercept</code> into a policy.</p>
      )}
      <p>For a whole shell:</p>
      <Code label="For a shell">{`export http_proxy=${proxy} https_proxy=${proxy}`}</Code>
      <p><a href="#certificates" onClick={(event) => { event.preventDefault(); go("certificates"); }}>Lines for Python, Node, Java, Go, git, apt, Docker and Kubernetes</a></p>
    </div>
  );
}

/** The border between list and detail: dragged, or moved by arrow keys. */
function Splitter(): JSX.Element {
  const initial = Number(recall("split") ?? 52);
  const [share, setShare] = useState(Number.isFinite(initial) && initial >= 25 && initial <= 80 ? initial : 52);
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    bar.current?.parentElement?.style.setProperty("--detail", `${share}%`);
    remember("split", String(share));
  }, [share]);
  const clamp = (value: number) => Math.round(Math.max(25, Math.min(80, value)));
  return (
    <div
      ref={bar}
      class="splitter"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the flow"
      aria-valuenow={share}
      aria-valuemin={25}
      aria-valuemax={80}
      tabIndex={0}
      onKeyDown={(event) => {
        const step = event.key === "ArrowLeft" ? 3 : event.key === "ArrowRight" ? -3 : 0;
        if (step === 0) return;
        event.preventDefault();
        event.stopPropagation();
        setShare(clamp(share + step));
      }}
      onPointerDown={(event) => {
        const element = event.currentTarget;
        element.setPointerCapture(event.pointerId);
        const move = (moved: PointerEvent) => {
          const area = element.parentElement!.getBoundingClientRect();
          setShare(clamp((100 * (area.right - moved.clientX)) / area.width));
        };
        element.addEventListener("pointermove", move);
        element.addEventListener("pointerup", () => element.removeEventListener("pointermove", move), { once: true });
      }}
    />
  );
}

