const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  // Would arrive as a line feed otherwise (XML 1.0, section 2.11).
  '\r': '&#13;',
}

/** A text for the content of an element or the value of an attribute. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r]/g, (char) => ESCAPES[char] ?? char)
}

/** Whether XML can carry the text at all: no control characters, no lone surrogates. */
export function fitsXml(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return text.isWellFormed() && !/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/.test(text)
}
