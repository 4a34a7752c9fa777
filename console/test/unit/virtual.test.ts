import { describe, expect, it } from "vitest";

import { MAX_HEIGHT, pagesOf, scrollToOffset, scrollToRow, windowOf } from "../../src/lib/virtual";

describe("virtual list", () => {
  it("draws what is in sight and a little more", () => {
    const { first, last, top, height } = windowOf(100_000, 25, 600, 25_000, 8);
    expect([first, last, top, height]).toEqual([992, 1032, 992 * 25, 2_500_000]);
  });
  it("draws nothing for nothing", () => {
    expect(windowOf(0, 25, 600, 0)).toEqual({ first: 0, last: 0, top: 0, height: 0 });
    expect(windowOf(10, 25, 0, 0).last).toBe(0);
  });
  it("stays within the list, however far somebody scrolls", () => {
    for (const scroll of [-500, 0, 1e9]) {
      const { first, last } = windowOf(50, 25, 600, scroll);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(last).toBeLessThanOrEqual(50);
      expect(last).toBeGreaterThan(first);
    }
  });
  it("keeps the rows drawn bounded for any length", () => {
    for (const total of [10, 1000, 100_000, 10_000_000]) for (let i = 0; i <= 50; i++) {
      const height = Math.min(total * 25, MAX_HEIGHT);
      const { first, last } = windowOf(total, 25, 600, (height * i) / 50);
      expect(last - first).toBeLessThanOrEqual(600 / 25 + 18);
    }
  });
  it("reaches the first and the last row of lists taller than a browser allows", () => {
    const total = 5_000_000;
    const end = windowOf(total, 25, 600, MAX_HEIGHT - 600);
    expect(end.height).toBe(MAX_HEIGHT);
    expect(end.last).toBe(total);
    // The last row ends where the view ends.
    expect(end.top + (end.last - end.first) * 25).toBeCloseTo(MAX_HEIGHT, 3);
    expect(windowOf(total, 25, 600, 0).first).toBe(0);
  });
  it("scrolls to a row only if it is out of sight, and then just far enough", () => {
    expect(scrollToRow(1000, 25, 600, 100, 10)).toBe(100);
    expect(scrollToRow(1000, 25, 600, 1000, 10)).toBe(250);
    expect(scrollToRow(1000, 25, 600, 0, 100)).toBe(101 * 25 - 600);
  });
  it("brings any row of a scaled list into sight", () => {
    const total = 5_000_000;
    for (const index of [0, 1, 17, 1_234_567, total - 1]) {
      const scroll = scrollToRow(total, 25, 600, 4_000_000, index);
      const offset = scrollToOffset(total, 25, 600, scroll);
      expect(index * 25).toBeGreaterThanOrEqual(offset - 0.01);
      expect(index * 25 + 25).toBeLessThanOrEqual(offset + 600.01);
    }
  });
  it("names the pages that rows are on", () => {
    expect(pagesOf(0, 40, 200)).toEqual([0]);
    expect(pagesOf(190, 210, 200)).toEqual([0, 1]);
    expect(pagesOf(200, 400, 200)).toEqual([1]);
    expect(pagesOf(5, 5, 200)).toEqual([]);
  });
});
