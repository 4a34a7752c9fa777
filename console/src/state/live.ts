// The one stream of events of this tab.
import { signal } from "@preact/signals";

import { url } from "../api/client";
import type { FlowsEvent, HeldEvent, Hello, LostEvent, RulesEvent, StatsPoint } from "../api/types";

export type LiveState = "off" | "connecting" | "live" | "waiting";
export const liveState = signal<LiveState>("off");

export interface Listener {
  hello?(event: Hello): void;
  flows?(event: FlowsEvent): void;
  stats?(event: StatsPoint): void;
  held?(event: HeldEvent): void;
  rules?(event: RulesEvent): void;
  lost?(event: LostEvent): void;
}

const listeners = new Set<Listener>();
let source: EventSource | undefined;
let wanted = "";
let lastId = "";
let retry = 0;
let retryTimer: ReturnType<typeof setTimeout> | undefined;

/** Adds somebody who wants events; the answer takes them away again. */
export function listen(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Opens the stream for these topics and this filter, or leaves it if it is open for them. */
export function tune(topics: string, filter: string): void {
  const query = url("/events", { topics, filter });
  if (query === wanted && source && source.readyState !== EventSource.CLOSED) return;
  // Events of another filter are no use, so nothing is made up for when the filter changes.
  if (query !== wanted) lastId = "";
  wanted = query;
  retry = 0;
  open();
}

export function silence(): void {
  wanted = "";
  lastId = "";
  clearTimeout(retryTimer);
  source?.close();
  source = undefined;
  liveState.value = "off";
}

function open(): void {
  clearTimeout(retryTimer);
  source?.close();
  liveState.value = "connecting";
  const stream = new EventSource(lastId ? `${wanted}&lastEventId=${encodeURIComponent(lastId)}` : wanted);
  source = stream;
  const on = <T>(name: string, act: (listener: Listener, data: T) => void) =>
    stream.addEventListener(name, (event) => {
      if (stream !== source) return;
      if (event.lastEventId) lastId = event.lastEventId;
      const data = JSON.parse((event as MessageEvent<string>).data) as T;
      for (const listener of [...listeners]) act(listener, data);
    });
  on<Hello>("hello", (l, e) => l.hello?.(e));
  on<FlowsEvent>("flows", (l, e) => l.flows?.(e));
  on<StatsPoint>("stats", (l, e) => l.stats?.(e));
  on<HeldEvent>("held", (l, e) => l.held?.(e));
  on<RulesEvent>("rules", (l, e) => l.rules?.(e));
  on<LostEvent>("lost", (l, e) => l.lost?.(e));
  stream.onopen = () => {
    retry = 0;
    liveState.value = "live";
  };
  stream.onerror = () => {
    if (stream !== source) return;
    liveState.value = "waiting";
    // The browser itself tries again unless the answer was no stream at all.
    if (stream.readyState !== EventSource.CLOSED) return;
    retryTimer = setTimeout(open, Math.min(30_000, 1000 * 2 ** retry++));
  };
}
