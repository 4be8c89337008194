import type { Column } from './verb.ts'

const GAP = '  '
const MAX_WIDTH = 60

/** Rows as an aligned table with headings; without columns, those of the first row's own members. */
export function formatTable(rows: readonly unknown[], columns?: readonly Column[]): string {
  if (rows.length === 0) return 'Nothing.\n'
  const shown = columns ?? Object.keys(rows[0] as object).map((key): Column => [key.toUpperCase(), key])
  const lines = [
    shown.map(([heading]) => heading),
    ...rows.map((row) => shown.map(([, member]) => cell(valueAt(row, member)))),
  ]
  const widths = shown.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

/** One thing as lines of `member  value`; nested objects are indented, lists of objects become tables. */
export function formatRecord(record: Readonly<Record<string, unknown>>, indent = ''): string {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  const width = Math.max(0, ...entries.map(([key]) => key.length))
  return entries.map(([key, value]) => formatMember(key, value, width, indent)).join('')
}

function formatMember(key: string, value: unknown, width: number, indent: string): string {
  const inner = `${indent}  `
  if (Array.isArray(value) && value.length > 0 && value.every(isRecord)) {
    const table = formatTable(value).replaceAll(/^(?=.)/gm, inner)
    return `${indent}${key}\n${table}`
  }
  if (isRecord(value) && Object.keys(value).length > 0)
    return `${indent}${key}\n${formatRecord(value, inner)}`
  return `${indent}${key.padEnd(width)}${GAP}${plain(value)}`.trimEnd() + '\n'
}

function valueAt(row: unknown, member: string): unknown {
  return member.split('.').reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), row)
}

function cell(value: unknown): string {
  const text = plain(value)
  return text.length > MAX_WIDTH ? `${text.slice(0, MAX_WIDTH - 1)}…` : text
}

/** A value on one line; control characters, which could move the cursor of a terminal, are shown as escapes. */
function plain(value: unknown): string {
  if (value === null || value === undefined) return '-'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (character) =>
    JSON.stringify(character).slice(1, -1),
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
