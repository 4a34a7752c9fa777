// Keys and what they do, in one table that the help shows and the page obeys.

export interface KeyEvent {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  /** Whether somebody is typing into a field. */
  typing: boolean;
}

export interface Binding {
  keys: string;
  does: string;
  group: "Everywhere" | "Traffic" | "A flow" | "Changes";
}

export const BINDINGS: readonly Binding[] = [
  { keys: "?", does: "This help", group: "Everywhere" },
  { keys: "1 … 6", does: "Traffic, Overview, Policy, Certificates, Changes, Audit", group: "Everywhere" },
  { keys: "t", does: "Light, dark, as the system", group: "Everywhere" },
  { keys: "Esc", does: "Close, or leave a field", group: "Everywhere" },
  { keys: "/", does: "Filter", group: "Traffic" },
  { keys: "j  k  ↓  ↑", does: "Next, previous flow", group: "Traffic" },
  { keys: "g  G  Home  End", does: "First, last flow", group: "Traffic" },
  { keys: "PgUp  PgDn", does: "A page up, down", group: "Traffic" },
  { keys: "Enter", does: "Open the flow", group: "Traffic" },
  { keys: "p  Space", does: "Pause, go on", group: "Traffic" },
  { keys: "x", does: "Select the flow for export", group: "Traffic" },
  { keys: "e", does: "Export as HAR", group: "Traffic" },
  { keys: "[  ]", does: "Previous, next tab", group: "A flow" },
  { keys: "c", does: "Copy as curl", group: "A flow" },
  { keys: "u", does: "Copy the URL", group: "A flow" },
  { keys: "r", does: "Replay", group: "A flow" },
  { keys: "d", does: "Compare: choose this one, then another", group: "A flow" },
  { keys: "m", does: "Mark with the next colour", group: "A flow" },
  { keys: "a  X", does: "Held: let it go on, as it was edited; drop it", group: "A flow" },
  { keys: "a  X", does: "Let the first that is held go on; drop it", group: "Changes" },
  { keys: "A", does: "Let everything go on", group: "Changes" },
  { keys: "e", does: "Edit the first that is held", group: "Changes" },
  { keys: "b  n", does: "New breakpoint, new rule", group: "Changes" },
];

/** The plain key, or nothing if it belongs to the browser or to a field. */
export function plainKey(event: KeyEvent): string | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.typing && event.key !== "Escape") return undefined;
  return event.key;
}
