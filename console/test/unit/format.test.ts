import { describe, expect, it } from "vitest";

import { ago, bytes, clock, count, duration, percent, rate, whole } from "../../src/lib/format";

describe("figures", () => {
  it("writes bytes with three digits", () => {
    expect([0, 999, 1000, 12_340, 999_499, 999_500, 3.69e9].map(bytes)).toEqual(["0 B", "999 B", "1.00 kB", "12.3 kB", "999 kB", "1.00 MB", "3.69 GB"]);
    expect(bytes(-1)).toBe("–");
    expect(bytes(Number.NaN)).toBe("–");
  });
  it("writes durations from microseconds to days without a sixtieth second", () => {
    expect([0, 0.12, 8, 42.4, 999.6, 9990, 9999, 59_999, 60_000, 185_000, 3_599_900, 7_440_000, 180_000_000].map((ms) => duration(ms))).toEqual([
      "0 ms", "0.1 ms", "8 ms", "42 ms", "1.00 s", "9.99 s", "10.0 s", "1 min", "1 min", "3 min 5 s", "1 h", "2 h 4 min", "2 d 2 h",
    ]);
    expect(duration(undefined)).toBe("–");
  });
  it("writes counts, rates and shares", () => {
    expect([0, 999, 1000, 34_100_000].map(count)).toEqual(["0", "999", "1.00k", "34.1M"]);
    expect(whole(100_000).replace(/\s/g, "_")).toBe("100_000");
    expect([0, 0.25, 5, 20].map(rate)).toEqual(["0", "0.3", "5", "20"]);
    expect(percent(1, 3)).toBe("33%");
    expect(percent(1, 100_000)).toBe("<0.1%");
    expect(percent(5, 0)).toBe("0%");
  });
  it("says how long ago, and how long until", () => {
    const now = Date.parse("2026-11-21T12:00:00Z");
    expect(ago("2026-11-21T11:59:59.5Z", now)).toBe("just now");
    expect(ago("2026-11-21T11:55:00Z", now)).toBe("5 min ago");
    expect(ago("2026-11-24T12:00:00Z", now)).toBe("in 3 d");
    expect(ago(undefined, now)).toBe("never");
    expect(ago("rubbish", now)).toBe("–");
  });
  it("writes the time of day with milliseconds", () => {
    expect(clock("2026-11-21T12:36:29.007Z")).toMatch(/^\d\d:\d\d:29\.007$/);
    expect(clock("rubbish")).toBe("–");
  });
});
