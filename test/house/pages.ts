import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

export const ROOT = path.resolve(import.meta.dirname, '../..')

/** A file of the repository. */
export const read = (name: string) => readFileSync(path.join(ROOT, name), 'utf8')

/** The README and every page in docs/, by their names from the root. */
export const PAGES = [
  'README.md',
  ...readdirSync(path.join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].map((name) => ({ name, text: read(name) }))

/** All of them in one. */
export const EVERYTHING = PAGES.map(({ text }) => text).join('\n')

/** The text under a heading of a page, up to the next one of its level. */
export function section(page: string, heading: string): string {
  const text = read(page)
  const start = text.indexOf(`\n## ${heading}\n`)
  if (start < 0) throw new Error(`${page} has no heading "${heading}"`)
  const end = text.indexOf('\n## ', start + 1)
  return text.slice(start, end < 0 ? undefined : end)
}

/** The rows of the tables in a text whose first column is a name in backticks; cells are without those around them. */
export function rowsOf(text: string): string[][] {
  return [...text.matchAll(/^\| `[^`]+` +\|.*\|$/gm)].map(([row]) =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1')),
  )
}

/** The first column of these tables. */
export function firstColumn(text: string): string[] {
  return rowsOf(text).map(([name = '']) => name)
}
