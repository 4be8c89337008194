/** Where output goes: a terminal of some width, or a file or pipe, which gets everything. */
export interface Output {
  write(text: string): unknown
  /** Columns of the terminal; missing where it is none. */
  columns?: number | undefined
}

/**
 * Characters that act on a terminal or on the order of what it shows instead of being shown: controls (C0, DEL, C1), line and
 * paragraph separators, and the marks of Unicode's bidirectional algorithm (UAX 9).
 */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** The text on one line, with what would not be shown as escapes. */
export function visible(text: string): string {
  return text.replaceAll(UNSEEN, escape)
}

/** Text of several lines, such as a message or JSON, in which line ends and tabs stay. */
export function visibleLines(text: string): string {
  return text.replaceAll(UNSEEN, (character) => ('\n\t'.includes(character) ? character : escape(character)))
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
}

function escape(character: string): string {
  const code = character.charCodeAt(0).toString(16).padStart(4, '0')
  return ESCAPES[character] ?? String.raw`\u${code}`
}

/** East Asian characters and pictographs take two columns. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u

/** Columns that a text takes in a terminal. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += WIDE.test(character) ? 2 : 1
  return width
}

/** The beginning of a text that fits into so many columns; one that was cut ends in an ellipsis. */
export function fit(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let width = 0
  for (const character of text) {
    width += widthOf(character)
    if (width > columns - 1) break
    kept += character
  }
  return `${kept}…`
}
