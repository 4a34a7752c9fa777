// The list of flows. Only the rows on screen exist.
import { Component, type JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { FlowSummary } from "../../api/types";
import { scrollToRow, windowOf } from "../../lib/virtual";
import { atTop, indexOf, need, paused, rowAt, rowCount, selection, showNew, sort, version } from "../../state/flows";
import { Icon } from "../../ui/icons";
import { fitting, tone, type Column } from "./columns";

export const ROW = 25;
/** The head stays in sight above the rows, within the same box, so that both have the same width. */
const HEAD = 28;
const OVERSCAN = 8;

export interface ListHandle {
  move: (step: number) => void;
  toEnd: (end: "first" | "last") => void;
  page: (direction: 1 | -1) => void;
}

export function FlowList(props: { current: string | undefined; onCurrent: (flow: FlowSummary) => void; onSort: (sort: string) => void; handle: { current: ListHandle | null } }): JSX.Element {
  version.value;
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState(0);
  const [height, setHeight] = useState(600);
  const [width, setWidth] = useState(1200);
  const columns = fitting(width);
  const template = `22px ${columns.map((column) => column.width).join(" ")}`;
  const total = rowCount();
  const slice = windowOf(total, ROW, height, scroll, OVERSCAN);

  useLayoutEffect(() => {
    const element = box.current!;
    const measure = () => {
      setHeight(Math.max(ROW, element.clientHeight - HEAD));
      setWidth(element.clientWidth);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => need(slice.first, slice.last), [slice.first, slice.last, version.value]);

  const select = (index: number) => {
    if (total === 0) return;
    const at = Math.max(0, Math.min(total - 1, index));
    const element = box.current!;
    const wanted = scrollToRow(total, ROW, height, element.scrollTop, at);
    if (wanted !== element.scrollTop) element.scrollTop = wanted;
    const flow = rowAt(at);
    if (flow) props.onCurrent(flow);
    else {
      // Its page is on the way; look again when it is there.
      need(at, at + 1);
      const stop = version.subscribe(() => {
        const there = rowAt(at);
        if (!there) return;
        queueMicrotask(() => stop());
        props.onCurrent(there);
      });
      setTimeout(stop, 3000);
    }
  };
  const at = () => (props.current ? indexOf(props.current) : -1);
  props.handle.current = {
    move: (step) => select(at() < 0 ? 0 : at() + step),
    toEnd: (end) => select(end === "first" ? 0 : total - 1),
    page: (direction) => select(Math.max(0, at()) + direction * Math.max(1, Math.floor(height / ROW) - 1)),
  };

  // Rows that leave at one end come in again at the other, with another flow. Counted from the end of the list, so that
  // new flows at its head do not renumber them.
  const pool = Math.ceil(height / ROW) + 2 * OVERSCAN + 2;
  const rows: JSX.Element[] = [];
  for (let i = slice.first; i < slice.last; i++) {
    const flow = rowAt(i);
    rows.push(
      flow ? (
        <Row key={(total - i) % pool} flow={flow} index={i} current={flow.id === props.current} selected={selection.value.has(flow.id)} columns={columns} template={template} onPick={props.onCurrent} />
      ) : (
        <div key={`~${(total - i) % pool}`} class="row ghost" role="row" aria-rowindex={i + 2}><span role="cell">…</span></div>
      ),
    );
  }

  return (
    <div class="list">
      <div
        class="rows"
        id="flows"
        ref={box}
        tabIndex={0}
        role="table"
        aria-label="Flows; j and k move, Enter opens"
        aria-rowcount={total + 1}
        aria-activedescendant={props.current && at() >= slice.first && at() < slice.last ? `flow-${props.current}` : undefined}
        onScroll={(event) => {
          const top = event.currentTarget.scrollTop;
          setScroll(top);
          atTop.value = top < ROW / 2;
          if (atTop.value && !paused.value) showNew();
        }}
      >
        <div class="row head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
          <span role="columnheader" aria-label="Mark" />
          {columns.map((column) => <HeadCell key={column.id} column={column} onSort={props.onSort} />)}
        </div>
        <div class="spacer" role="rowgroup" style={{ height: `${slice.height}px` }}>
          <div class="slice" style={{ transform: `translateY(${slice.top}px)` }}>{rows}</div>
        </div>
      </div>
    </div>
  );
}

function HeadCell({ column, onSort }: { column: Column; onSort: (sort: string) => void }): JSX.Element {
  const direction = sort.value === column.sort ? "ascending" : sort.value === `-${column.sort}` ? "descending" : undefined;
  if (!column.sort) return <span role="columnheader" class={column.right ? "right" : undefined}>{column.label}</span>;
  return (
    <span role="columnheader" aria-sort={direction ?? "none"} class={column.right ? "right" : undefined}>
      <button type="button" title={`Sort by ${column.label.toLowerCase()}`} onClick={() => onSort(direction === "descending" ? column.sort! : direction === "ascending" ? "-started" : `-${column.sort}`)}>
        {column.label}
        {direction && <i class={direction} aria-hidden="true" />}
      </button>
    </span>
  );
}

interface RowProps {
  flow: FlowSummary;
  index: number;
  current: boolean;
  selected: boolean;
  columns: readonly Column[];
  template: string;
  onPick: (flow: FlowSummary) => void;
}

class Row extends Component<RowProps> {
  // Hundreds of rows pass by in a second; only those that changed are drawn again.
  override shouldComponentUpdate(next: RowProps): boolean {
    const now = this.props;
    return (
      next.flow !== now.flow || next.index !== now.index || next.current !== now.current || next.selected !== now.selected || next.template !== now.template || next.onPick !== now.onPick
    );
  }

  override render({ flow, index, current, selected, columns, template, onPick }: RowProps): JSX.Element {
    return (
      <div
        id={`flow-${flow.id}`}
        class={`row flow ${tone(flow)}${current ? " current" : ""}${selected ? " selected" : ""}${index % 2 ? " odd" : ""}`}
        role="row"
        aria-rowindex={index + 2}
        aria-current={current ? "true" : undefined}
        style={{ gridTemplateColumns: template }}
        onClick={() => onPick(flow)}
      >
        <span role="cell" class="lead">
          {selected ? <Icon name="check" size={12} title="selected" /> : flow.mark ? <i class={`mark ${flow.mark}`} role="img" aria-label={`marked ${flow.mark}`} /> : null}
        </span>
        {columns.map((column) => <span key={column.id} role="cell" class={`c-${column.id}${column.right ? " right" : ""}`}>{column.cell(flow)}</span>)}
      </div>
    );
  }
}
