// The sums of a list of which only the rows on screen exist.

/** Browsers lose rows beyond some 17 million pixels (Firefox) of height, so taller lists are scaled. */
export const MAX_HEIGHT = 8_000_000;

export interface Window {
  /** The first row to draw. */
  first: number;
  /** One past the last row to draw. */
  last: number;
  /** Where the first row stands, in pixels from the top of the spacer. */
  top: number;
  /** The height of the spacer, in pixels. */
  height: number;
}

/** Which rows to draw for a scroll position. `overscan` rows more are drawn on each side. */
export function windowOf(total: number, row: number, viewport: number, scrollTop: number, overscan = 8): Window {
  const full = total * row;
  const height = Math.min(full, MAX_HEIGHT);
  if (total === 0 || viewport <= 0) return { first: 0, last: 0, top: 0, height };
  const offset = scrollToOffset(total, row, viewport, scrollTop);
  const first = Math.max(0, Math.floor(offset / row) - overscan);
  const last = Math.min(total, Math.ceil((offset + viewport) / row) + overscan);
  // Rows keep their true distance to the visible edge, whatever the scale.
  const top = Math.max(0, Math.min(scrollTop, Math.max(0, height - viewport))) + first * row - offset;
  return { first, last, top, height };
}

/** The distance in true pixels that a scroll position stands for. */
export function scrollToOffset(total: number, row: number, viewport: number, scrollTop: number): number {
  const full = total * row;
  const height = Math.min(full, MAX_HEIGHT);
  const reach = Math.max(0, height - viewport);
  const clamped = Math.max(0, Math.min(scrollTop, reach));
  if (full <= MAX_HEIGHT || reach === 0) return clamped;
  return (clamped / reach) * (full - viewport);
}

/** The scroll position that shows a row, or the present one if it is in sight. */
export function scrollToRow(total: number, row: number, viewport: number, scrollTop: number, index: number): number {
  const offset = scrollToOffset(total, row, viewport, scrollTop);
  const top = index * row;
  if (top >= offset && top + row <= offset + viewport) return scrollTop;
  const wanted = top < offset ? top : top + row - viewport;
  const full = total * row;
  if (full <= MAX_HEIGHT) return Math.max(0, wanted);
  const reach = MAX_HEIGHT - viewport;
  return Math.max(0, Math.min(reach, (wanted / (full - viewport)) * reach));
}

/** The pages, of `size` rows each, that hold the rows from `first` to before `last`. */
export function pagesOf(first: number, last: number, size: number): number[] {
  const pages: number[] = [];
  if (last <= first) return pages;
  for (let page = Math.floor(first / size); page <= Math.floor((last - 1) / size); page++) pages.push(page);
  return pages;
}
