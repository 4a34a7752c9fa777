// Where the bands of the diagram "who talks to whom" run.

export interface Link {
  from: string;
  to: string;
  value: number;
  /** The part of the value that failed or was refused. */
  bad: number;
}

export interface Node {
  name: string;
  value: number;
  bad: number;
  y: number;
  height: number;
  /** Stands for this many nodes that have no room. */
  others?: number;
}

export interface Band {
  from: string;
  to: string;
  value: number;
  bad: number;
  fromY: number;
  toY: number;
  width: number;
}

export interface Sankey {
  left: Node[];
  right: Node[];
  bands: Band[];
  height: number;
}

/** The name of the node for all that have no room. No identity or host can be it, because of the NUL. */
export const OTHERS = "\0others";

/** Lays two columns out, largest first; beyond `max` nodes a column, the rest are one node. */
export function layout(links: readonly Link[], max: number, width: number, gap = 8, least = 16): Sankey {
  const leftNames = largest(links, (link) => link.from, max);
  const rightNames = largest(links, (link) => link.to, max);
  const merged = new Map<string, Link>();
  for (const link of links) {
    if (link.value <= 0) continue;
    const from = leftNames.kept.has(link.from) ? link.from : OTHERS;
    const to = rightNames.kept.has(link.to) ? link.to : OTHERS;
    const key = JSON.stringify([from, to]);
    const known = merged.get(key);
    if (known) {
      known.value += link.value;
      known.bad += link.bad;
    } else merged.set(key, { from, to, value: link.value, bad: link.bad });
  }
  const all = [...merged.values()];
  const total = all.reduce((sum, link) => sum + link.value, 0);
  // `width` is the height in pixels that the largest column's values share; each node has at least `least`.
  const scale = total > 0 ? width / total : 0;
  const left = column(all, (link) => link.from, scale, gap, least, leftNames.dropped);
  const right = column(all, (link) => link.to, scale, gap, least, rightNames.dropped);
  const height = Math.max(bottom(left), bottom(right));
  centre(left, height);
  centre(right, height);

  const leftAt = new Map(left.map((node) => [node.name, node.y + (node.height - node.value * scale) / 2]));
  const rightAt = new Map(right.map((node) => [node.name, node.y + (node.height - node.value * scale) / 2]));
  const order = (names: Node[]) => new Map(names.map((node, i) => [node.name, i]));
  const leftOrder = order(left);
  const rightOrder = order(right);
  const byLeft = [...all].sort((a, b) => leftOrder.get(a.from)! - leftOrder.get(b.from)! || rightOrder.get(a.to)! - rightOrder.get(b.to)!);
  const bands = byLeft.map((link) => {
    const wide = link.value * scale;
    const fromY = leftAt.get(link.from)!;
    leftAt.set(link.from, fromY + wide);
    return { ...link, fromY, toY: 0, width: wide };
  });
  for (const band of [...bands].sort((a, b) => rightOrder.get(a.to)! - rightOrder.get(b.to)! || leftOrder.get(a.from)! - leftOrder.get(b.from)!)) {
    band.toY = rightAt.get(band.to)!;
    rightAt.set(band.to, band.toY + band.width);
  }
  return { left, right, bands, height };
}

/** The outline of a band between two columns. */
export function bandPath(band: Band, x0: number, x1: number): string {
  const mid = (x0 + x1) / 2;
  const wide = Math.max(1, band.width);
  const n = (value: number) => Math.round(value * 10) / 10;
  const [a, b, c, d] = [n(band.fromY), n(band.toY), n(band.toY + wide), n(band.fromY + wide)];
  return `M${x0} ${a}C${mid} ${a} ${mid} ${b} ${x1} ${b}V${c}C${mid} ${c} ${mid} ${d} ${x0} ${d}Z`;
}

function largest(links: readonly Link[], name: (link: Link) => string, max: number): { kept: Set<string>; dropped: number } {
  const sums = new Map<string, number>();
  for (const link of links) sums.set(name(link), (sums.get(name(link)) ?? 0) + link.value);
  const names = [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([key]) => key);
  const room = names.length > max ? max - 1 : max;
  return { kept: new Set(names.slice(0, room)), dropped: Math.max(0, names.length - room) };
}

function column(links: readonly Link[], name: (link: Link) => string, scale: number, gap: number, least: number, dropped: number): Node[] {
  const nodes = new Map<string, Node>();
  for (const link of links) {
    const node = nodes.get(name(link)) ?? { name: name(link), value: 0, bad: 0, y: 0, height: 0 };
    node.value += link.value;
    node.bad += link.bad;
    nodes.set(node.name, node);
  }
  const sorted = [...nodes.values()].sort((a, b) => rank(a) - rank(b) || b.value - a.value || (a.name < b.name ? -1 : 1));
  let y = 0;
  for (const node of sorted) {
    node.y = y;
    node.height = Math.max(least, node.value * scale);
    if (node.name === OTHERS) node.others = dropped;
    y += node.height + gap;
  }
  return sorted;
}

function rank(node: Node): number {
  return node.name === OTHERS ? 1 : 0;
}

function bottom(nodes: readonly Node[]): number {
  const last = nodes[nodes.length - 1];
  return last ? last.y + last.height : 0;
}

function centre(nodes: readonly Node[], height: number): void {
  const shift = (height - bottom(nodes)) / 2;
  for (const node of nodes) node.y += shift;
}
