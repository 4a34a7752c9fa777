/** Numbers that are the same in every run (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    below: (n) => Math.floor(next() * n),
    pick: (list) => list[Math.floor(next() * list.length)],
    /** Of `[value, weight]` pairs. */
    weighted: (pairs) => {
      let at = next() * pairs.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [value, weight] of pairs) if ((at -= weight) < 0) return value;
      return pairs[0][0];
    },
    /** Long-tailed, around `median`. */
    tail: (median, spread = 1) => median * Math.exp(spread * (next() + next() + next() - 1.5) * 1.6),
  };
}
