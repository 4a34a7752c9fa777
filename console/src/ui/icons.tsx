// Line icons on a grid of 16, drawn for this page.
import type { JSX } from "preact";

const PATHS = {
  traffic: "M2 4h9M2 8h12M2 12h7M13 10v4M11 12h4",
  overview: "M2 3.5h3c4 0 2 9 6 9h3M2 12.5h3c4 0 2-9 6-9h3",
  policy: "M8 1.5l5.5 2v4c0 3.5-2.3 5.9-5.5 7-3.2-1.1-5.5-3.5-5.5-7v-4zM5.5 8l1.8 1.8L10.8 6",
  certificates: "M3 2.5h10v7H3zM5.5 5.2h5M5.5 7h3M9.2 9.5v4.8l1.8-1.2 1.8 1.2V9.5",
  changes: "M5 2.5v11M11 2.5v11M3 5.5h4M9 10.5h4",
  audit: "M4 1.8h6.2L13 4.5v9.7H4zM6 6.5h5M6 9h5M6 11.5h3",
  help: "M6 6c0-1.3 1-2.2 2.2-2.2 1.3 0 2.1.9 2.1 2 0 1.6-2.2 1.7-2.2 3.4M8.1 11.8v.3",
  sun: "M8 5.2a2.8 2.8 0 100 5.6 2.8 2.8 0 000-5.6zM8 1.3v1.6M8 13.1v1.6M1.3 8h1.6M13.1 8h1.6M3.3 3.3l1.1 1.1M11.6 11.6l1.1 1.1M3.3 12.7l1.1-1.1M11.6 4.4l1.1-1.1",
  moon: "M13 9.6A5.6 5.6 0 016.4 3 5.6 5.6 0 1013 9.6z",
  auto: "M8 2.2a5.8 5.8 0 100 11.6zM8 2.2a5.8 5.8 0 010 11.6",
  exit: "M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3",
  pause: "M5 3v10M11 3v10",
  play: "M4.5 2.8l8 5.2-8 5.2z",
  search: "M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.3 10.3l3.4 3.4",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  columns: "M2 3h12v10H2zM6 3v10M10 3v10",
  download: "M8 2v8M4.8 7.2L8 10.4l3.2-3.2M2.5 13.5h11",
  trash: "M2.5 4h11M6 4V2.3h4V4M4 4l.7 9.7h6.6L12 4M6.7 6.8v4.4M9.3 6.8v4.4",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  replay: "M13.2 8a5.2 5.2 0 11-1.6-3.8M13.2 1.8v3h-3",
  compare: "M5 2v12M11 2v12M2.5 5L5 2l2.5 3M8.5 11l2.5 3 2.5-3",
  tunnel: "M4 7.2h8v6.3H4zM5.5 7.2V5a2.5 2.5 0 015 0v2.2",
  intercept: "M1.2 8C2.8 5 5.2 3.6 8 3.6S13.2 5 14.8 8c-1.6 3-4 4.4-6.8 4.4S2.8 11 1.2 8zM8 6a2 2 0 100 4 2 2 0 000-4z",
  forward: "M2 8h11.5M9.5 4l4 4-4 4",
  local: "M2.5 7.5L8 2.6l5.5 4.9M4 6.5v7h8v-7M6.8 13.5v-3.8h2.4v3.8",
  chevron: "M6 3.5L10.5 8 6 12.5",
  down: "M3.5 6L8 10.5 12.5 6",
  up: "M8 13V3M4 7l4-4 4 4",
  flag: "M4 14.5V2h8l-2 3.2 2 3.3H4",
  check: "M3 8.5l3.3 3.3L13 4.6",
  warn: "M8 2l6.5 11.5h-13zM8 6.5v3.2M8 11.6v.2",
  filter: "M2 3h12L9.5 8.5v4.8l-3-1.6V8.5z",
  hold: "M5 13.5V3.5M8 13V2.5M11 13.5V3.5M5 9c-2-2-3.5.2-2 2.4 1.2 1.8 2.6 2.8 5 2.8s4.6-1.4 4.6-4.4V5",
  plus: "M8 3v10M3 8h10",
  edit: "M2.5 13.5l.7-3L11 2.7l2.3 2.3-7.8 7.8z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, title }: { name: IconName; size?: number; title?: string }): JSX.Element {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" role={title ? "img" : undefined} aria-label={title} aria-hidden={title ? undefined : "true"}>
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Egret({ size = 30 }: { size?: number }): JSX.Element {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" class="egret">
      <path d="M20.6 6.2c-2.7-.5-4.8 1.1-4.8 3.5 0 2.7 2.5 3.8 2.5 6.3 0 2.7-2.6 4.2-6.2 4.2-2.3 0-4.2-.5-5.5-1.2 1 3.9 4.6 6 8.6 6l-.6 3.2h1.8l.7-3.4c3.4-.8 5.9-3.7 5.9-7.6 0-3-2-4.7-2-6.6 0-.8.5-1.3 1.2-1.3.5 0 .9.2 1.3.6l4-.5-3.9-2.2a4 4 0 0 0-3-1z" />
    </svg>
  );
}
