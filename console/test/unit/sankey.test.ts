import { describe, expect, it } from "vitest";

import { bandPath, layout, OTHERS } from "../../src/lib/sankey";

const link = (from: string, to: string, value: number, bad = 0) => ({ from, to, value, bad });

describe("who talks to whom", () => {
  it("loses no flow, and puts the largest first", () => {
    const map = layout([link("a", "x", 5, 1), link("b", "x", 10), link("a", "y", 1), link("a", "x", 2, 2)], 10, 300);
    expect(map.left.map((node) => [node.name, node.value, node.bad])).toEqual([["b", 10, 0], ["a", 8, 3]]);
    expect(map.right.map((node) => [node.name, node.value])).toEqual([["x", 17], ["y", 1]]);
    expect(map.bands.reduce((sum, band) => sum + band.value, 0)).toBe(18);
  });
  it("gathers what has no room, without a name that traffic could have", () => {
    const links = Array.from({ length: 40 }, (_, i) => link(`id${i}`, "x", 40 - i));
    const map = layout(links, 12, 300);
    expect(map.left).toHaveLength(12);
    expect(map.left[11]).toMatchObject({ name: OTHERS, others: 29 });
    expect(map.left.reduce((sum, node) => sum + node.value, 0)).toBe(820);
  });
  it("keeps nodes apart and bands within their nodes", () => {
    const links = Array.from({ length: 60 }, (_, i) => link(`a${i % 7}`, `b${i % 11}`, (i % 5) + 1));
    const map = layout(links, 12, 300);
    for (const column of [map.left, map.right]) for (let i = 1; i < column.length; i++) expect(column[i]!.y).toBeGreaterThan(column[i - 1]!.y + column[i - 1]!.height);
    for (const band of map.bands) {
      const from = map.left.find((node) => node.name === band.from)!;
      const to = map.right.find((node) => node.name === band.to)!;
      expect(band.fromY).toBeGreaterThanOrEqual(from.y - 0.01);
      expect(band.fromY + band.width).toBeLessThanOrEqual(from.y + from.height + 0.01);
      expect(band.toY).toBeGreaterThanOrEqual(to.y - 0.01);
      expect(band.toY + band.width).toBeLessThanOrEqual(to.y + to.height + 0.01);
    }
  });
  it("survives nothing, zeros, and names that look like properties", () => {
    expect(layout([], 10, 300)).toMatchObject({ bands: [], height: 0 });
    expect(layout([link("a", "x", 0)], 10, 300).bands).toEqual([]);
    expect(layout([link("__proto__", "constructor", 1)], 10, 300).bands).toHaveLength(1);
    expect(bandPath({ from: "a", to: "b", value: 1, bad: 0, fromY: 0, toY: 5, width: 2 }, 0, 100)).not.toMatch(/NaN|undefined/);
  });
});
