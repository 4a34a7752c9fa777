// Hostile text made safe to look at. The page writes text nodes alone, so nothing here is about HTML: it is about
// characters that hide, reorder or break lines.

// Controls, bidirectional controls, zero-width characters, line separators, tags, byte order marks.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** One line, with hidden characters written out as `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (c) => (c === "\t" ? "\\t" : c === "\n" ? "\\n" : c === "\r" ? "\\r" : `\\u{${c.codePointAt(0)!.toString(16)}}`));
}

/** The same for text of several lines: tabs and line ends stay. */
export function visibleLines(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(HIDDEN, (c) => (c === "\t" || c === "\n" ? c : `\\u{${c.codePointAt(0)!.toString(16)}}`));
}

/** At most `length` characters, cut in the middle, where it is least missed in URLs and hosts. */
export function middle(text: string, length: number): string {
  if (text.length <= length) return text;
  const keep = length - 1;
  return `${text.slice(0, Math.ceil(keep * 0.6))}…${text.slice(text.length - Math.floor(keep * 0.4))}`;
}
