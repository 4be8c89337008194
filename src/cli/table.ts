import { isRecord } from '../kernel/records.ts'
import { fit, visible, widthOf } from './terminal.ts'
import type { Columns } from './verb.ts'

const GAP = '  '
/** A column of a terminal is not made narrower than this. */
const NARROWEST = 8

/**
 * Rows as an aligned table with headings; without columns, those of the first row's own members. It is as wide as its
 * content, and at most as `columns` of a terminal, whose widest cells are cut.
 */
export function formatTable(rows: readonly unknown[], shown?: Columns, columns?: number): string {
  if (rows.length === 0) return 'Nothing.\n'
  const members = Object.keys(rows[0] as object)
  const heads = Object.entries(shown ?? Object.fromEntries(members.map((key) => [key.toUpperCase(), key])))
  const lines = [
    heads.map(([heading]) => heading),
    ...rows.map((row) => heads.map(([, member]) => plain(valueAt(row, member)))),
  ]
  const widths = narrowed(
    heads.map((_, index) => Math.max(...lines.map((line) => widthOf(line[index] ?? '')))),
    columns,
  )
  return lines
    .map((line) =>
      line
        .map((text, index) => pad(fit(text, widths[index] ?? 0), widths[index] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

/** Takes from the widest column until all fit. */
function narrowed(widths: number[], columns: number | undefined): number[] {
  let excess = widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length) - (columns ?? Infinity)
  while (excess > 0) {
    const [widest = 0, next = 0] = widths.toSorted((a, b) => b - a)
    if (widest <= NARROWEST) break
    const cut = Math.min(excess, Math.max(1, widest - Math.max(next, NARROWEST)))
    widths[widths.indexOf(widest)] = widest - cut
    excess -= cut
  }
  return widths
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

/** One thing as lines of `member  value`; nested objects are indented, lists of objects become tables. */
export function formatRecord(
  record: Readonly<Record<string, unknown>>,
  columns?: number,
  indent = '',
): string {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  const width = Math.max(0, ...entries.map(([key]) => key.length))
  return entries.map(([key, value]) => formatMember(key, value, { width, columns, indent })).join('')
}

function formatMember(
  key: string,
  value: unknown,
  { width, columns, indent }: { width: number; columns: number | undefined; indent: string },
): string {
  const inner = `${indent}  `
  if (Array.isArray(value) && value.length > 0 && value.every(isRecord)) {
    const table = formatTable(value, undefined, columns && columns - inner.length)
    return `${indent}${key}\n${table.replaceAll(/^(?=.)/gm, inner)}`
  }
  if (isRecord(value) && Object.keys(value).length > 0)
    return `${indent}${key}\n${formatRecord(value, columns, inner)}`
  return `${indent}${key.padEnd(width)}${GAP}${plain(value)}`.trimEnd() + '\n'
}

/** What is at a path of members; of a list what is in each of its items. */
function valueAt(row: unknown, member: string): unknown {
  return member.split('.').reduce<unknown>((value, key) => {
    if (Array.isArray(value)) return value.map((each) => (isRecord(each) ? each[key] : undefined)).join(', ')
    return isRecord(value) ? value[key] : undefined
  }, row)
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return '-'
  return visible(typeof value === 'string' ? value : JSON.stringify(value))
}
