import { describe, expect, it } from "vitest";

import { decodeProto, fromBase64, hexRows, parseForm, parseMultipart } from "../../src/lib/binary";
import { imageType } from "../../src/lib/images";
import { JsonError, jsonRows, parseJson, prettyJson } from "../../src/lib/jsontree";

describe("JSON", () => {
  it("keeps numbers as they were sent, and doubled keys", () => {
    const node = parseJson('{"a":9007199254740993,"a":1.10,"b":[true,null,-0e2]}');
    expect(prettyJson(node)).toBe('{\n  "a": 9007199254740993,\n  "a": 1.10,\n  "b": [\n    true,\n    null,\n    -0e2\n  ]\n}');
  });
  it("agrees with the browser about what is JSON", () => {
    const texts = ["{}", "[]", " 1 ", '"\\u00e9\\n"', "[1,]", "{a:1}", "01", "1.", ".5", "nul", "tru", '"\u0001"', '"\\x"', "[1 2]", "{\"a\" 1}", "", "[", '{"a":', "1 1", "\ufeff1", "-", "+1", "NaN", '"a', "[[]]", "truex"];
    for (const text of texts) {
      let wanted = true;
      try { JSON.parse(text); } catch { wanted = false; }
      let got = true;
      try { parseJson(text); } catch (error) { expect(error).toBeInstanceOf(JsonError); got = false; }
      expect([text, got]).toEqual([text, wanted]);
    }
  });
  it("refuses what is nested too deeply, and does not overflow", () => {
    expect(() => parseJson("[".repeat(100_000))).toThrow(JsonError);
  });
  it("does not take __proto__ for more than a key", () => {
    const node = parseJson('{"__proto__":{"polluted":1}}');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(jsonRows(node, new Set()).map((row) => row.key)).toEqual([undefined, "__proto__", "polluted"]);
  });
  it("folds and unfolds", () => {
    const node = parseJson('{"a":{"b":{"c":{"d":1}}}}');
    expect(jsonRows(node, new Set()).length).toBe(4);
    expect(jsonRows(node, new Set(["/0/0/0"])).length).toBe(5);
    expect(jsonRows(node, new Set([""])).length).toBe(1);
  });
  it("stops at a number of rows", () => {
    expect(jsonRows(parseJson(`[${"1,".repeat(150)}1]`), new Set(), 3, 50).length).toBe(50);
  });
});

describe("forms", () => {
  it("reads them in order, and keeps what is no escape", () => {
    expect(parseForm("a=1+2&b%5Bx%5D=%C3%A9&c&=d&e=%zz")).toEqual([
      { name: "a", value: "1 2" }, { name: "b[x]", value: "é" }, { name: "c", value: "" }, { name: "", value: "d" }, { name: "e", value: "%zz" },
    ]);
    expect(parseForm("")).toEqual([]);
  });
  it("reads parts", () => {
    const text = '--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n2\r\n--X\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--X--\r\n';
    expect(parseMultipart(text, 'multipart/form-data; boundary="X"')).toMatchObject([{ name: "a", text: "1\r\n2" }, { name: "f", filename: "n.txt", text: "hi" }]);
    expect(parseMultipart(text, "multipart/form-data")).toEqual([]);
  });
});

describe("bytes", () => {
  it("dumps sixteen a row", () => {
    const rows = hexRows(Uint8Array.from([0x3c, 0x62, 0x3e, 0, 255, ...new Array(12).fill(65)]));
    expect(rows).toHaveLength(2);
    expect(rows[0]).toEqual({ offset: "00000000", hex: "3c 62 3e 00 ff 41 41 41  41 41 41 41 41 41 41 41", text: "<b>··AAAAAAAAAAA" });
    expect(rows[1]?.offset).toBe("00000010");
  });
  it("reads base64, and nothing from what is none", () => {
    expect([...fromBase64("PGI+")]).toEqual([60, 98, 62]);
    expect(fromBase64("***").length).toBe(0);
  });
  it("reads protocol buffers without a schema", () => {
    expect(decodeProto(Uint8Array.from([0x08, 0x96, 0x01, 0x12, 0x03, 0x61, 0x62, 0x63]))).toEqual([
      { number: 1, wire: "varint", value: "150" }, { number: 2, wire: "bytes", value: '"abc"' },
    ]);
    expect(decodeProto(Uint8Array.from([0x0a, 0x03, 0x08, 0x01, 0x01]))?.[0]?.value).toBe("08 01 01");
    expect(decodeProto(Uint8Array.from([0x0a, 0x02, 0x08, 0x01]))?.[0]?.fields).toEqual([{ number: 1, wire: "varint", value: "1" }]);
  });
  it("does not read garbage as protocol buffers, and ends on any", () => {
    expect(decodeProto(Uint8Array.from([0x0a, 0xff]))).toBeUndefined();
    expect(decodeProto(Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))).toBeUndefined();
    expect(decodeProto(Uint8Array.from([0x00]))).toBeUndefined();
    let seed = 3;
    for (let round = 0; round < 500; round++) decodeProto(Uint8Array.from({ length: 40 }, () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 8 & 255));
  });
});

describe("images", () => {
  it("are told by their bytes, and SVG and HTML are none", () => {
    expect(imageType(Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))).toBe("image/png");
    expect(imageType(Uint8Array.from([0xff, 0xd8, 0xff, 0xe0]))).toBe("image/jpeg");
    for (const text of ["<svg onload=alert(1)>", "<?xml version='1.0'?><svg/>", "<html>", "", "GIF", "BM"]) expect(imageType(new TextEncoder().encode(text))).toBeUndefined();
  });
});
