import { describe, expect, it } from "vitest";

import { diffLines, hunks } from "../../src/lib/diff";

const lines = (text: string) => (text === "" ? [] : text.split(""));
const show = (a: string, b: string) => diffLines(lines(a), lines(b)).map((line) => ({ same: " ", gone: "-", new: "+" })[line.kind] + line.text).join("");

describe("difference of lines", () => {
  it("finds the shortest one", () => {
    expect(show("abc", "abc")).toBe(" a b c");
    expect(show("abc", "axc")).toBe(" a-b+x c");
    expect(show("", "ab")).toBe("+a+b");
    expect(show("ab", "")).toBe("-a-b");
    expect(show("", "")).toBe("");
    expect(show("abcabba", "cbabac").replace(/ ./g, "").length / 2).toBe(5);
  });
  it("gives both texts back, whatever they are", () => {
    let seed = 7;
    const next = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff);
    for (let round = 0; round < 300; round++) {
      const make = () => Array.from({ length: next() % 12 }, () => "abc"[next() % 3]!);
      const [a, b] = [make(), make()];
      const diff = diffLines(a, b);
      expect(diff.filter((line) => line.kind !== "new").map((line) => line.text)).toEqual(a);
      expect(diff.filter((line) => line.kind !== "gone").map((line) => line.text)).toEqual(b);
      expect(diff.filter((line) => line.left !== undefined).map((line) => line.left)).toEqual(a.map((_, i) => i + 1));
      expect(diff.filter((line) => line.right !== undefined).map((line) => line.right)).toEqual(b.map((_, i) => i + 1));
    }
  });
  it("gives up on texts that have nothing in common, without taking forever", () => {
    const a = Array.from({ length: 5000 }, (_, i) => `a${i}`);
    const b = Array.from({ length: 5000 }, (_, i) => `b${i}`);
    expect(diffLines(a, b)).toHaveLength(10_000);
  });
  it("leaves out what is far from a difference", () => {
    const left = Array.from({ length: 20 }, (_, i) => String(i));
    const right = left.map((line) => (line === "10" ? "ten" : line));
    expect(hunks(diffLines(left, right), 2).map((hunk) => [hunk.kind, hunk.lines.length])).toEqual([["skipped", 8], ["lines", 6], ["skipped", 7]]);
  });
});
