import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";

import { headersToText, textToHeaders } from "../../src/lib/headers";
import { clients } from "../../src/lib/instructions";
import { BINDINGS, plainKey } from "../../src/lib/keys";
import { shellQuote } from "../../src/lib/shell";
import { middle, visible, visibleLines } from "../../src/lib/text";

describe("hostile text", () => {
  it("shows characters that hide or turn the text around", () => {
    expect(visible("a\u202eb\u0000c\u200b\n")).toBe("a\\u{202e}b\\u{0}c\\u{200b}\\n");
    expect(visible("\u{e0041}")).toBe("\\u{e0041}");
    expect(visible("<b>é 漢 🛎</b>")).toBe("<b>é 漢 🛎</b>");
    expect(visibleLines("a\r\nb\tc\u0007")).toBe("a\nb\tc\\u{7}");
  });
  it("is cut in the middle", () => {
    expect(middle("short", 10)).toBe("short");
    expect(middle("abcdefghijklmnop", 9)).toBe("abcde…nop");
    expect(middle("abcdefghijklmnop", 9)).toHaveLength(9);
  });
});

describe("words for a shell", () => {
  it("arrive as they are, whatever they hold", () => {
    for (const text of ["plain", "", "a b", "$(id)", "`id`", "it's", "a\nb", "~root", "*", "\\", "!x", "é", "-x", "'; rm -rf '"]) {
      expect(execFileSync("/bin/sh", ["-c", `printf %s ${shellQuote(text)}`]).toString()).toBe(text);
    }
  });
});

describe("headers as text", () => {
  const original = [{ name: "host", value: "a" }, { name: "authorization", value: "[redacted]", redacted: true }, { name: "x-bytes", base64: "//4=" }];
  it("come back as they were when nobody changes them", () => {
    expect(textToHeaders(headersToText(original), original)).toEqual([{ name: "host", value: "a" }, { name: "authorization", redacted: true }, { name: "x-bytes", base64: "//4=" }]);
  });
  it("say which line is none", () => {
    expect(() => textToHeaders("host: a\nrubbish", [])).toThrow("Line 2");
    expect(() => textToHeaders("bad name: a", [])).toThrow("Line 1");
    expect(textToHeaders("A: b: c\r\n\r\n", [])).toEqual([{ name: "A", value: "b: c" }]);
  });
});

describe("lines for clients", () => {
  it("are there for every client of the manual, with this proxy's address", () => {
    const all = clients({ proxy: "http://127.0.0.1:8888", console: "http://127.0.0.1:8081", password: "changeit" });
    for (const name of ["curl", "Python", "Node", "Java", "Go", "git", "apt", "Docker", "Kubernetes"]) {
      const client = all.find((entry) => entry.name === name)!;
      expect(client.blocks.some((block) => block.lines.includes("127.0.0.1"))).toBe(true);
    }
    expect(all.find((entry) => entry.name === "Java")!.blocks[0]!.lines).toContain("-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8888");
  });
  it("are lines that a shell reads", () => {
    for (const client of clients({ proxy: "https://[::1]:8443", console: "http://127.0.0.1:8081", password: "changeit" })) {
      for (const block of client.blocks) {
        if (!/^(curl |sudo |export |git |kubectl |keytool |npm |docker |GIT_)/.test(block.lines)) continue;
        execFileSync("/bin/sh", ["-n", "-c", block.lines]);
      }
    }
  });
});

describe("keys", () => {
  const press = (key: string, more = {}) => plainKey({ key, ctrlKey: false, metaKey: false, altKey: false, typing: false, ...more });
  it("leave the browser's own and typing alone", () => {
    expect(press("j")).toBe("j");
    expect(press("c", { ctrlKey: true })).toBeUndefined();
    expect(press("j", { typing: true })).toBeUndefined();
    expect(press("Escape", { typing: true })).toBe("Escape");
  });
  it("have one meaning each, in each view", () => {
    for (const groups of [["Everywhere", "Traffic", "A flow"], ["Everywhere", "Changes"]]) {
      const keys = BINDINGS.filter((binding) => groups.includes(binding.group)).flatMap((binding) => binding.keys.split("  "));
      expect(new Set(keys).size).toBe(keys.length);
    }
  });
});
