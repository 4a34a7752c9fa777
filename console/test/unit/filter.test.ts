import { describe, expect, it } from "vitest";

import { and, complete, has, quote, terms, tokens, without } from "../../src/lib/filter";

describe("filters", () => {
  it("takes any text apart without losing a character", () => {
    for (const text of ["", "host:a status:>=500", '~b "a b" | !(x & y)', '"open', "a\\", "((((", "host:", "\u202e<script>", "x:y:z|"]) {
      expect(tokens(text).map((token) => text.slice(token.start, token.end)).join("")).toBe(text);
    }
  });
  it("tells words, mitmproxy's operators, and text apart", () => {
    const kinds = (text: string) => tokens(text).filter((token) => token.kind !== "space").map((token) => token.kind);
    expect(kinds("host:a.b ~m POST (x or y)")).toEqual(["word", "text", "tilde", "text", "paren", "text", "operator", "text", "paren"]);
    expect(kinds("https://a/b")).toEqual(["text"]);
  });
  it("quotes values that would be read otherwise", () => {
    expect(quote("api.example.com")).toBe("api.example.com");
    expect(quote("spiffe://a/b")).toBe("spiffe://a/b");
    expect(quote("a b")).toBe('"a b"');
    expect(quote('say "hi" \\')).toBe('"say \\"hi\\" \\\\"');
    expect(quote("/re/")).toBe('"/re/"');
    expect(quote("x|y")).toBe('"x|y"');
    expect(quote("")).toBe('""');
  });
  it("adds terms, keeping the meaning of an or", () => {
    expect(and("", "is:failed")).toBe("is:failed");
    expect(and("host:a", "is:failed")).toBe("host:a is:failed");
    expect(and("host:a | host:b", "is:failed")).toBe("(host:a | host:b) is:failed");
    expect(and("host:a is:failed", "is:failed")).toBe("host:a is:failed");
  });
  it("takes terms out again", () => {
    expect(without("host:a is:failed ~m POST", "is:failed")).toBe("host:a ~m POST");
    expect(without("(host:a | host:b) is:failed", "is:failed")).toBe("(host:a | host:b)");
    expect(without("host:a | is:failed", "is:failed")).toBe("host:a | is:failed");
    expect(has("host:a is:failed", "is:failed")).toBe(true);
    expect(has("host:a !is:failed", "is:failed")).toBe(false);
    expect(has("host:a ! is:failed", "is:failed")).toBe(false);
  });
  it("keeps operators and their values together", () => {
    expect(terms('~d example.com ~b "a b" not x')).toEqual(["~d example.com", '~b "a b"', "not x"]);
    expect(terms("a & b and c")).toEqual(["a", "b", "c"]);
  });
  it("completes names, then values, at the caret", () => {
    expect(complete("tre", 3).map((choice) => choice.filter)).toEqual(["treatment:"]);
    expect(complete("host:a met is:open", 10)[0]).toMatchObject({ filter: "host:a method: is:open", caret: 14 });
    expect(complete("treatment:tu", 12)[0]).toMatchObject({ filter: "treatment:tunnel", caret: 16 });
    expect(complete("host:ap", 7, { host: ["api.example.com", "other"] }).map((choice) => choice.filter)).toEqual(["host:api.example.com"]);
    expect(complete("rule:", 5, { rule: ["a rule"] })[0]?.filter).toBe('rule:"a rule"');
    expect(complete("", 0)).toEqual([]);
    expect(complete("nonsense:x", 10)).toEqual([]);
  });
});
