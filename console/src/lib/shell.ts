/** One word for a POSIX shell, whatever it holds. */
export function shellQuote(text: string): string {
  if (text !== "" && /^[A-Za-z0-9_./:@%+,=-]+$/.test(text) && !text.startsWith("~")) return text;
  return `'${text.replace(/'/g, "'\\''")}'`;
}
