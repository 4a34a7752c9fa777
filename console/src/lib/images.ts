// Images are the only captured bytes that the page hands to a decoder of the browser. Only these types, told by the
// bytes and not by what the origin says; SVG is text, as it can hold script.

const MAGIC: readonly [string, (b: Uint8Array) => boolean][] = [
  ["image/png", (b) => starts(b, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
  ["image/jpeg", (b) => starts(b, [0xff, 0xd8, 0xff])],
  ["image/gif", (b) => starts(b, [0x47, 0x49, 0x46, 0x38])],
  ["image/webp", (b) => starts(b, [0x52, 0x49, 0x46, 0x46]) && ascii(b, 8, 4) === "WEBP"],
  ["image/avif", (b) => ascii(b, 4, 4) === "ftyp" && /^avi[fs]$/.test(ascii(b, 8, 4))],
  ["image/bmp", (b) => starts(b, [0x42, 0x4d]) && b.length > 26],
  ["image/x-icon", (b) => starts(b, [0, 0, 1, 0])],
];

/** The image type of the bytes, if it is one that is shown. */
export function imageType(data: Uint8Array): string | undefined {
  return MAGIC.find(([, test]) => test(data))?.[0];
}

function starts(data: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => data[i] === byte);
}

function ascii(data: Uint8Array, from: number, length: number): string {
  return String.fromCharCode(...data.subarray(from, from + length));
}
