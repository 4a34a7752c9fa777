// The list of flows: pages by offset of what was there at one moment, and above them what has come since.
import { batch, signal } from "@preact/signals";

import { ApiError, getJson } from "../api/client";
import type { FlowPage, FlowsEvent, FlowSummary, Problem } from "../api/types";
import { pagesOf } from "../lib/virtual";
import { complain } from "./ui";

const PAGE = 200;
/** Pages that are kept; those furthest from sight go first. */
const MAX_PAGES = 40;
/** Flows that wait or stand above the pages; beyond that, the list is loaded anew. */
const MAX_NEW = 2000;

export const filter = signal("");
export const sort = signal<string>("-started");
export const paused = signal(false);
/** The list is scrolled to its top, so that new rows may come in. */
export const atTop = signal(true);
/** Grows with each change of what the list shows. */
export const version = signal(0);
/** New flows that are not shown yet. */
export const waitingCount = signal(0);
export const filterProblem = signal<Problem | undefined>(undefined);
export const loaded = signal(false);
/** Flows in the store, whatever the filter. */
export const storeTotal = signal(0);
export const selection = signal<ReadonlySet<string>>(new Set());

let until = "";
let untilSeq = 0;
let total = 0;
let pages = new Map<number, FlowSummary[]>();
let loading = new Map<number, AbortController>();
let head: FlowSummary[] = [];
let waiting: FlowSummary[] = [];
/** More came than may wait. */
let overflowed = false;
let round = 0;
let reloadTimer: ReturnType<typeof setTimeout> | undefined;

/** How many rows the list has. */
export function rowCount(): number {
  return head.length + total;
}

/** The row at an index, if it is there yet. */
export function rowAt(index: number): FlowSummary | undefined {
  if (index < head.length) return head[index];
  const at = index - head.length;
  return pages.get(Math.floor(at / PAGE))?.[at % PAGE];
}

/** Where a flow stands, as far as its page is loaded. */
export function indexOf(id: string): number {
  const inHead = head.findIndex((flow) => flow.id === id);
  if (inHead >= 0) return inHead;
  for (const [page, flows] of pages) {
    const at = flows.findIndex((flow) => flow.id === id);
    if (at >= 0) return head.length + page * PAGE + at;
  }
  return -1;
}

/** What is known of a flow without asking. */
export function known(id: string): FlowSummary | undefined {
  const index = indexOf(id);
  return index >= 0 ? rowAt(index) : waiting.find((flow) => flow.id === id);
}

/** Loads the list from its beginning. */
export async function reload(): Promise<void> {
  clearTimeout(reloadTimer);
  const mine = ++round;
  for (const controller of loading.values()) controller.abort();
  loading = new Map();
  try {
    const page = await getJson<FlowPage>("/flows", { filter: filter.value, sort: sort.value, limit: PAGE });
    if (mine !== round) return;
    batch(() => {
      until = page.revision;
      untilSeq = Number(page.revision.split("-")[1] ?? 0);
      total = page.total;
      pages = new Map([[0, page.flows]]);
      head = [];
      // What came over the stream while the page was on its way, and is in it now.
      waiting = waiting.filter((flow) => flow.seq > untilSeq);
      overflowed = false;
      waitingCount.value = waiting.length;
      filterProblem.value = undefined;
      loaded.value = true;
      if (filter.value === "") storeTotal.value = page.total;
      version.value++;
    });
  } catch (error) {
    if (mine !== round) return;
    if (error instanceof ApiError && error.problem.code === "bad-filter") filterProblem.value = error.problem;
    else complain(error);
  }
}

/** Loads what is needed to show these rows. */
export function need(first: number, last: number): void {
  const from = Math.max(0, first - head.length);
  const to = Math.max(0, last - head.length);
  const wanted = pagesOf(from, Math.min(to, total), PAGE);
  for (const [page, controller] of loading) {
    if (wanted.includes(page)) continue;
    controller.abort();
    loading.delete(page);
  }
  for (const page of wanted) if (!pages.has(page) && !loading.has(page)) void loadPage(page);
}

async function loadPage(page: number): Promise<void> {
  const controller = new AbortController();
  loading.set(page, controller);
  const mine = round;
  try {
    const got = await getJson<FlowPage>(
      "/flows",
      { filter: filter.value, sort: sort.value, limit: PAGE, offset: page * PAGE, until },
      controller.signal,
    );
    if (mine !== round) return;
    pages.set(page, got.flows);
    prune(page);
    version.value++;
  } catch (error) {
    complain(error);
  } finally {
    if (loading.get(page) === controller) loading.delete(page);
  }
}

function prune(near: number): void {
  if (pages.size <= MAX_PAGES) return;
  const far = [...pages.keys()].sort((a, b) => Math.abs(b - near) - Math.abs(a - near));
  for (const page of far.slice(0, pages.size - MAX_PAGES)) pages.delete(page);
}

/** Takes in what the stream says. */
export function take(event: FlowsEvent): void {
  let changed = false;
  if (event.total !== undefined) storeTotal.value = event.total;
  for (const flow of event.flows) {
    if (replace(head, flow) || replaceInPages(flow)) changed = true;
    else if (replace(waiting, flow)) continue;
    else if (flow.seq > untilSeq) {
      waiting.push(flow);
      if (waiting.length > MAX_NEW) {
        waiting.shift();
        overflowed = true;
      }
      waitingCount.value++;
    }
  }
  if (event.gone.length > 0) {
    const gone = new Set(event.gone);
    waiting = waiting.filter((flow) => !gone.has(flow.id));
    if (!overflowed) waitingCount.value = waiting.length;
    const before = head.length;
    head = head.filter((flow) => !gone.has(flow.id));
    changed ||= head.length !== before;
    if ([...pages.values()].some((flows) => flows.some((flow) => gone.has(flow.id)))) reloadSoon();
  }
  if (following()) changed = admit() || changed;
  if (changed) version.value++;
}

/** Whether new rows come in by themselves. */
export function following(): boolean {
  return !paused.value && atTop.value && sort.value === "-started";
}

/** Lets the waiting flows in. */
export function admit(): boolean {
  if (waiting.length === 0 && !overflowed) return false;
  if (overflowed || sort.value !== "-started" || head.length + waiting.length > MAX_NEW) {
    waiting = [];
    waitingCount.value = 0;
    overflowed = false;
    reloadSoon(0);
    return false;
  }
  waiting.sort((a, b) => b.seq - a.seq);
  head = [...waiting, ...head];
  waiting = [];
  waitingCount.value = 0;
  return true;
}

/** Shows what has come since. */
export function showNew(): void {
  if (admit()) version.value++;
}

/** Puts a changed row in its place. */
export function put(flow: FlowSummary): void {
  if (replace(head, flow) || replaceInPages(flow)) version.value++;
  else replace(waiting, flow);
}

export function reloadSoon(ms = 400): void {
  clearTimeout(reloadTimer);
  reloadTimer = setTimeout(() => void reload(), ms);
}

function replace(list: FlowSummary[], flow: FlowSummary): boolean {
  const at = list.findIndex((known) => known.id === flow.id);
  if (at < 0) return false;
  list[at] = flow;
  return true;
}

function replaceInPages(flow: FlowSummary): boolean {
  if (flow.seq > untilSeq) return false;
  for (const flows of pages.values()) if (replace(flows, flow)) return true;
  return false;
}

export function toggleSelected(id: string): void {
  const next = new Set(selection.value);
  if (!next.delete(id)) next.add(id);
  selection.value = next;
}
