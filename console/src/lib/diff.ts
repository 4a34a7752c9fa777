// The difference of two texts by lines, after Myers (1986), bounded.

export interface Line {
  kind: "same" | "gone" | "new";
  text: string;
  /** Line numbers, counted from 1. */
  left?: number;
  right?: number;
}

/** Beyond this many differing lines the middle is given as all gone and all new. */
const MAX_EDITS = 2000;

/** The lines of both, in order. */
export function diffLines(left: readonly string[], right: readonly string[]): Line[] {
  let head = 0;
  while (head < left.length && head < right.length && left[head] === right[head]) head++;
  let tail = 0;
  while (tail < left.length - head && tail < right.length - head && left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail++;

  const out: Line[] = [];
  for (let i = 0; i < head; i++) out.push({ kind: "same", text: left[i]!, left: i + 1, right: i + 1 });
  const a = left.slice(head, left.length - tail);
  const b = right.slice(head, right.length - tail);
  let l = head;
  let r = head;
  for (const step of myers(a, b)) {
    if (step === "same") out.push({ kind: "same", text: left[l]!, left: ++l, right: ++r });
    else if (step === "gone") out.push({ kind: "gone", text: left[l]!, left: ++l });
    else out.push({ kind: "new", text: right[r]!, right: ++r });
  }
  for (let i = 0; i < tail; i++) out.push({ kind: "same", text: left[l]!, left: ++l, right: ++r });
  return out;
}

function myers(a: readonly string[], b: readonly string[]): Line["kind"][] {
  const max = Math.min(a.length + b.length, MAX_EDITS);
  const offset = max + 1;
  const reach = new Int32Array(2 * max + 3);
  const trace: Int32Array[] = [];
  for (let d = 0; d <= max; d++) {
    trace.push(reach.slice(offset - d - 1, offset + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && reach[offset + k - 1]! < reach[offset + k + 1]!);
      let x = down ? reach[offset + k + 1]! : reach[offset + k - 1]! + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++;
        y++;
      }
      reach[offset + k] = x;
      if (x >= a.length && y >= b.length) return backtrack(trace, a.length, b.length);
    }
  }
  return [...a.map(() => "gone" as const), ...b.map(() => "new" as const)];
}

function backtrack(trace: readonly Int32Array[], endX: number, endY: number): Line["kind"][] {
  const steps: Line["kind"][] = [];
  let x = endX;
  let y = endY;
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d]!;
    const at = (k: number) => reach[k + d + 1]!;
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const beforeK = down ? k + 1 : k - 1;
    const beforeX = d === 0 ? 0 : at(beforeK);
    const beforeY = d === 0 ? 0 : beforeX - beforeK;
    while (x > beforeX && y > beforeY) {
      steps.push("same");
      x--;
      y--;
    }
    if (d > 0) steps.push(down ? "new" : "gone");
    x = beforeX;
    y = beforeY;
  }
  return steps.reverse();
}

export interface Hunk {
  kind: "lines" | "skipped";
  lines: Line[];
}

/** Leaves out runs of equal lines that are further than `context` from a difference. */
export function hunks(lines: readonly Line[], context = 3): Hunk[] {
  const keep = new Uint8Array(lines.length);
  lines.forEach((line, i) => {
    if (line.kind === "same") return;
    for (let j = Math.max(0, i - context); j <= Math.min(lines.length - 1, i + context); j++) keep[j] = 1;
  });
  const out: Hunk[] = [];
  lines.forEach((line, i) => {
    const kind = keep[i] ? "lines" : "skipped";
    const last = out[out.length - 1];
    if (last && last.kind === kind) last.lines.push(line);
    else out.push({ kind, lines: [line] });
  });
  return out;
}
