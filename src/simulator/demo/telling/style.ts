import { styleText } from 'node:util'

/** Colours for a terminal; everything stays plain without one. */
export type Style = ReturnType<typeof createStyle>

type Format = Parameters<typeof styleText>[0]

/** Paints with ANSI codes, or leaves every text as it is. */
export function createStyle(hasColours: boolean) {
  const paint = (format: Format) => (text: string) =>
    hasColours ? styleText(format, text, { validateStream: false }) : text
  return {
    strong: paint('bold'),
    soft: paint('dim'),
    good: paint('green'),
    bad: paint('red'),
    marked: paint('yellow'),
  }
}
