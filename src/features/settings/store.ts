import { sql } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { Overrides } from './schema.ts'

/** The one row. */
export type SettingsRow = { values: Overrides; version: number; created_at: Date; updated_at: Date }

const COLUMNS = ['values', 'version', 'created_at', 'updated_at'] as const

/** Reads the row. */
export function readSettings(db: Queries): Promise<SettingsRow> {
  return db.selectFrom('settings').select(COLUMNS).executeTakeFirstOrThrow()
}

/** Reads the row and keeps others from changing it until the transaction ends. */
export function lockSettings(trx: Tx): Promise<SettingsRow> {
  return trx.selectFrom('settings').select(COLUMNS).forUpdate().executeTakeFirstOrThrow()
}

/** Writes the row as its next version. */
export function writeSettings(trx: Tx, values: Overrides, now: Date): Promise<SettingsRow> {
  return trx
    .updateTable('settings')
    .set((eb) => ({ values: JSON.stringify(values), version: eb('version', '+', 1), updated_at: now }))
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

/** Serialises processes at their first start; an arbitrary number that nothing else locks. */
const INSTANCE_LOCK = 7_203_002

/** What this installation is, locked against other processes that start; undefined before the first start. */
export async function lockInstance(trx: Tx): Promise<{ id: string; secret_probe: Buffer } | undefined> {
  await sql`select pg_advisory_xact_lock(${INSTANCE_LOCK})`.execute(trx)
  return trx.selectFrom('instance').select(['id', 'secret_probe']).executeTakeFirst()
}

/** Writes what this installation is. */
export async function writeInstance(trx: Tx, id: string, secret_probe: Buffer): Promise<void> {
  await trx
    .insertInto('instance')
    .values({ id, secret_probe })
    .onConflict((oc) => oc.column('only_row').doUpdateSet({ secret_probe }))
    .execute()
}
