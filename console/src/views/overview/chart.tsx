import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import type { StatsPoint } from "../../api/types";
import { theme } from "../../state/ui";

export interface ChartLine {
  key: "flows" | "errors" | "refusals" | "bytesUp" | "bytesDown" | "p50" | "p90" | "p99";
  label: string;
  tone: "main" | "bad" | "warn" | "blue" | "purple";
}

/** Lines over time, drawn on a canvas in the colours of the style sheet. */
export function Chart({ points, lines, format, label }: { points: StatsPoint[]; lines: ChartLine[]; format: (n: number) => string; label: string }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [at, setAt] = useState<number | null>(null);
  const data: uPlot.AlignedData = [points.map((point) => point.t / 1000), ...lines.map((line) => points.map((point) => point[line.key] ?? null))];

  useEffect(() => {
    const element = box.current!;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
      plot.current?.destroy();
      const style = getComputedStyle(element);
      const colour = (name: string) => style.getPropertyValue(name).trim();
      const axis = { stroke: colour("--faint"), font: "11px system-ui, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, gap: 4 };
      plot.current = new uPlot(
        {
          width: element.clientWidth,
          height: 150,
          padding: [8, 6, 0, 0],
          legend: { show: false },
          cursor: { y: false, drag: { x: false, y: false }, points: { size: 5 } },
          scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.08, 0.001)] } },
          axes: [{ ...axis, size: 24, space: 60, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 62, space: 30, values: (_, ticks) => ticks.map((tick) => format(tick)) }],
          series: [{}, ...lines.map((line, i) => ({ stroke: colour(`--c-${line.tone}`), width: 1.5, fill: i === 0 ? colour(`--c-${line.tone}-soft`) : undefined, points: { show: false } }))],
          hooks: { setCursor: [(u) => setAt(u.cursor.idx ?? null)] },
        },
        data,
        element,
      );
    };
    draw();
    let width = element.clientWidth;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth === width) return;
      width = element.clientWidth;
      plot.current?.setSize({ width, height: 150 });
    });
    observer.observe(element);
    dark.addEventListener("change", draw);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [theme.value]);
  useEffect(() => plot.current?.setData(data), [points]);

  const shown = at !== null && at < points.length ? points[at] : points[points.length - 1];
  return (
    <figure class="chart">
      <div ref={box} role="img" aria-label={`${label}: ${lines.map((line) => `${line.label} ${shown?.[line.key] !== undefined ? format(shown[line.key]!) : "unknown"}`).join(", ")}`} />
      <figcaption>
        {lines.map((line) => <span key={line.key}><i class={`swatch ${line.tone}`} />{line.label} <b class="num">{shown?.[line.key] !== undefined ? format(shown[line.key]!) : "–"}</b></span>)}
        {at !== null && shown && <span class="faint num">{clock(shown.t / 1000)}</span>}
      </figcaption>
    </figure>
  );
}

function clock(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}${date.getSeconds() ? `:${two(date.getSeconds())}` : ""}`;
}
