import { sql, type RawBuilder } from 'kysely'
import { withoutNul } from './values.ts'

/** A condition: one of these columns begins with the text, in any case. Without a text it holds for all rows. */
export function beginsWith(columns: readonly string[], search: string | undefined): RawBuilder<boolean> {
  if (search === undefined) return sql<boolean>`true`
  const pattern = `${withoutNul(search)
    .toLowerCase()
    .replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
  const each = columns.map((column) => sql`lower(${sql.ref(column)}) like ${pattern}`)
  return sql<boolean>`(${sql.join(each, sql` or `)})`
}

/** A condition: the time in this column is at `since` or later, and before `until` (RFC 3339); what is not given does not count. */
export function within(
  column: string,
  { since, until }: { since?: string | undefined; until?: string | undefined },
): RawBuilder<boolean> {
  const from = since === undefined ? sql`true` : sql`${sql.ref(column)} >= ${since}::timestamptz`
  const to = until === undefined ? sql`true` : sql`${sql.ref(column)} < ${until}::timestamptz`
  return sql<boolean>`(${from} and ${to})`
}
