import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Edge } from "../../api/types";
import { and, quote } from "../../lib/filter";
import { bytes, duration, percent, whole } from "../../lib/format";
import { bandPath, layout, OTHERS, type Band, type Node } from "../../lib/sankey";
import { middle, visible } from "../../lib/text";
import { go } from "../../state/ui";
import { Hostile } from "../../ui/basics";

export type Metric = "flows" | "bytes" | "errors";

const COLUMN = 10;
const MARGIN = 0.27;

/** Identities on the left, destinations on the right, bands as wide as what passes. */
export function SankeyView({ edges, metric }: { edges: Edge[]; metric: Metric }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(1000);
  const [hover, setHover] = useState<Band | Node>();
  useLayoutEffect(() => {
    const element = box.current!;
    const observer = new ResizeObserver(() => setWidth(Math.max(480, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const value = (edge: Edge) => (metric === "flows" ? edge.flows : metric === "bytes" ? edge.bytesUp + edge.bytesDown : edge.errors + edge.refusals);
  const bad = (edge: Edge) => (metric === "errors" ? edge.refusals : metric === "flows" ? edge.errors + edge.refusals : 0);
  const links = edges.map((edge) => ({ from: edge.identity, to: edge.destination, value: value(edge), bad: bad(edge) }));
  const map = layout(links, 11, 215, 8, 16);
  const x0 = Math.min(300, width * MARGIN);
  const x1 = width - x0;
  const chars = Math.floor((x0 - 24) / 6.7);
  const say = (n: number) => (metric === "bytes" ? bytes(n) : whole(n));
  const lit = (band: Band) => !hover || ("from" in hover ? hover.from === band.from && hover.to === band.to : band.from === hover.name || band.to === hover.name);
  const worst = (entry: Band | Node) => (metric === "errors" ? "bad" : entry.value > 0 && entry.bad / entry.value > 0.5 ? "bad" : entry.bad / Math.max(1, entry.value) > 0.05 ? "warn" : "");

  const openBand = (band: Band) => go("traffic", { filter: [band.from !== OTHERS && `identity:${quote(band.from)}`, band.to !== OTHERS && destinationTerm(band.to), metric === "errors" && "is:failed"].filter(Boolean).join(" ") });
  const openNode = (node: Node, side: "left" | "right") => {
    if (node.name === OTHERS) return;
    const term = side === "left" ? `identity:${quote(node.name)}` : destinationTerm(node.name);
    go("traffic", { filter: metric === "errors" ? and(term, "is:failed") : term });
  };
  const nodeLabel = (node: Node) => (node.name === OTHERS ? `${node.others} others` : middle(visible(node.name), chars));
  const nodes = (list: Node[], side: "left" | "right") => list.map((node) => (
    <g
      key={node.name}
      class={`node ${worst(node)}`}
      role="link"
      tabIndex={0}
      aria-label={`${node.name === OTHERS ? `${node.others} others` : visible(node.name)}: ${say(node.value)}`}
      onMouseEnter={() => setHover(node)}
      onMouseLeave={() => setHover(undefined)}
      onFocus={() => setHover(node)}
      onBlur={() => setHover(undefined)}
      onClick={() => openNode(node, side)}
      onKeyDown={(event) => event.key === "Enter" && openNode(node, side)}
    >
      <title>{node.name === OTHERS ? `${node.others} others` : visible(node.name)}</title>
      <rect class="hit" x={side === "left" ? 0 : x1} y={node.y - 3} width={x0} height={node.height + 6} />
      <rect class="box" x={side === "left" ? x0 - COLUMN : x1} y={node.y} width={COLUMN} height={node.height} rx="2" />
      <text x={side === "left" ? x0 - COLUMN - 7 : x1 + COLUMN + 7} y={node.y + node.height / 2 - (node.height > 28 ? 6 : 0)} text-anchor={side === "left" ? "end" : "start"} dominant-baseline="central">{nodeLabel(node)}</text>
      {node.height > 28 && <text class="amount" x={side === "left" ? x0 - COLUMN - 7 : x1 + COLUMN + 7} y={node.y + node.height / 2 + 9} text-anchor={side === "left" ? "end" : "start"} dominant-baseline="central">{say(node.value)}{node.bad > 0 && metric === "flows" ? ` · ${percent(node.bad, node.value)} trouble` : ""}</text>}
    </g>
  ));
  const empty = map.bands.length === 0;
  return (
    <div class="sankey" ref={box}>
      {empty ? <p class="pad good-news">No trouble in this time.</p> : (
        <svg width={width} height={map.height + 8} viewBox={`0 -4 ${width} ${map.height + 8}`} role="group" aria-label="Who talks to whom">
          {map.bands.map((band) => (
            <path
              key={`${band.from}\n${band.to}`}
              class={`band ${worst(band)}${lit(band) ? "" : " away"}`}
              d={bandPath(band, x0, x1)}
              onMouseEnter={() => setHover(band)}
              onMouseLeave={() => setHover(undefined)}
              onClick={() => openBand(band)}
            >
              <title>{`${band.from === OTHERS ? "others" : visible(band.from)} → ${band.to === OTHERS ? "others" : visible(band.to)}: ${say(band.value)}${band.bad > 0 ? `, ${say(band.bad)} failed or refused` : ""}`}</title>
            </path>
          ))}
          {nodes(map.left, "left")}
          {nodes(map.right, "right")}
        </svg>
      )}
    </div>
  );
}

function destinationTerm(destination: string): string {
  const [, host = destination, port] = /^(.*):(\d+)$/.exec(destination) ?? [];
  return `host:${quote(host.replace(/^\[|\]$/g, ""))}${port ? ` port:${port}` : ""}`;
}

/** The same as figures. */
export function EdgeTable({ edges }: { edges: Edge[] }): JSX.Element {
  return (
    <div class="scroll-x">
      <table class="table">
        <thead><tr><th>Identity</th><th>Proof</th><th>Destination</th><th class="right">Flows</th><th class="right">Errors</th><th class="right">Refused</th><th class="right">Up</th><th class="right">Down</th><th class="right">Median</th></tr></thead>
        <tbody>
          {edges.map((edge) => (
            <tr key={`${edge.identity}\n${edge.destination}`}>
              <td class="break"><Hostile text={edge.identity} /></td>
              <td><span class="chip">{edge.proof}</span></td>
              <td class="break"><a href="#traffic" onClick={(event) => { event.preventDefault(); go("traffic", { filter: `identity:${quote(edge.identity)} ${destinationTerm(edge.destination)}` }); }}><Hostile text={edge.destination} mono /></a></td>
              <td class="right num">{whole(edge.flows)}</td>
              <td class="right num">{edge.errors > 0 ? <span class="bad-text">{whole(edge.errors)}</span> : "0"}</td>
              <td class="right num">{edge.refusals > 0 ? <span class="warn-text">{whole(edge.refusals)}</span> : "0"}</td>
              <td class="right num">{bytes(edge.bytesUp)}</td>
              <td class="right num">{bytes(edge.bytesDown)}</td>
              <td class="right num">{duration(edge.p50)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
