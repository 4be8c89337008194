import { sql, type RawBuilder } from 'kysely'
import type { SecretBox } from '../kernel/secret-box.ts'
import type { Db } from './database.ts'
import type { Database } from './tables/index.ts'
import type { Tx } from './transaction.ts'

/** Values sealed anew in one transaction. */
const RESEAL_BATCH = 100

type Row = Record<string, unknown>

/** A column of sealed secrets; nulls are left alone. */
export interface SealedColumn {
  table: keyof Database
  column: string
  /** Columns by whose index the table is walked. They need not be unique. */
  key: readonly string[]
  /** What a row's value is sealed for, made of its columns `from`. */
  context: (...values: never[]) => string
  from: readonly string[]
  /** Which rows are sealed, where not all are. */
  only?: RawBuilder<unknown>
  /** The column is text that holds the sealed bytes in base64. */
  isBase64?: boolean
}

/**
 * Seals every value of a column anew that is not sealed with the box's present key; gives their number. Safe while
 * others write, and in several processes at once. Throws what `box.open` throws.
 */
export async function resealColumn(db: Db, box: SecretBox, sealed: SealedColumn): Promise<number> {
  let count = 0
  let last: Row | undefined
  for (;;) {
    const from = last
    const rows = await db.transaction((trx) => resealBatch(trx, box, sealed, from))
    count += rows.length
    last = rows.at(-1)
    if (rows.length < RESEAL_BATCH) return count
  }
}

async function resealBatch(
  trx: Tx,
  box: SecretBox,
  sealed: SealedColumn,
  from: Row | undefined,
): Promise<Row[]> {
  const { table, column, key, from: parts, only = sql`true`, isBase64 = false } = sealed
  const encoding = isBase64 ? 'base64' : undefined
  const names = [...new Set([...key, ...parts, column])].map((name) => sql.ref(name))
  const header = encoding ? box.header.toString(encoding) : box.header
  const { rows } = await sql<Row>`
    select ${sql.join(names)} from ${sql.table(table)}
    where substring(${sql.ref(column)} from 1 for ${sql.lit(header.length)}) <> ${header} and ${only} and ${isAfter(key, from)}
    order by ${sql.join(key.map((name) => sql.ref(name)))} limit ${sql.lit(RESEAL_BATCH)} for update`.execute(
    trx,
  )
  for (const row of rows) {
    const before = row[column] as Buffer | string
    const context = sealed.context(...parts.map((name) => row[name] as never))
    const after = box.seal(box.open(toBytes(before), context), context)
    await sql`
      update ${sql.table(table)} set ${sql.ref(column)} = ${encoding ? after.toString(encoding) : after}
      where ${isAt(key, row)} and ${sql.ref(column)} = ${before}`.execute(trx)
  }
  return rows
}

function toBytes(value: Buffer | string): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'base64') : value
}

function isAfter(key: readonly string[], row: Row | undefined): RawBuilder<unknown> {
  return row === undefined ? sql`true` : compare(key, sql`>=`, row)
}

function isAt(key: readonly string[], row: Row): RawBuilder<unknown> {
  return compare(key, sql`=`, row)
}

function compare(key: readonly string[], operator: RawBuilder<unknown>, row: Row): RawBuilder<unknown> {
  const names = sql.join(key.map((name) => sql.ref(name)))
  return sql`(${names}) ${operator} (${sql.join(key.map((name) => row[name]))})`
}
