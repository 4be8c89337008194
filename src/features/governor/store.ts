import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { GovernorTables } from '../../db/tables/governor.ts'
import type { GovernedAct, LimitsPatch } from './limits.ts'

/** The one row. */
export type GovernorRow = Omit<Selectable<GovernorTables['governor']>, 'only_row' | 'settings'> & {
  settings: LimitsPatch
}

const COLUMNS = ['settings', 'stopped', 'version', 'created_at', 'updated_at'] as const

/** Reads the row. */
export async function readGovernor(db: Queries): Promise<GovernorRow> {
  return (await db.selectFrom('governor').select(COLUMNS).executeTakeFirstOrThrow()) as GovernorRow
}

/** Reads the row; until the transaction ends nobody else is asked for an act, changes it or stops all. */
export async function lockGovernor(trx: Tx): Promise<GovernorRow> {
  return (await trx
    .selectFrom('governor')
    .select(COLUMNS)
    .forUpdate()
    .executeTakeFirstOrThrow()) as GovernorRow
}

/** Writes the row. */
export async function writeGovernor(
  trx: Tx,
  set: { settings?: LimitsPatch; stopped?: GovernorRow['stopped'] },
  now: Date,
): Promise<GovernorRow> {
  return (await trx
    .updateTable('governor')
    .set((eb) => ({
      ...(set.settings && { settings: JSON.stringify(set.settings) }),
      ...(set.stopped !== undefined && {
        stopped: set.stopped === null ? null : JSON.stringify(set.stopped),
      }),
      version: eb('version', '+', 1),
      updated_at: now,
    }))
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()) as GovernorRow
}

/** For how many devices an act was accepted after `since`: asked for by this asker, and by anybody. */
export async function usesSince(
  db: Queries,
  act: GovernedAct,
  asker: string,
  since: Date,
): Promise<{ byAsker: number; byAll: number }> {
  const { rows } = await sql<{ by_asker: number; by_all: number }>`
    select coalesce(sum(devices) filter (where asker = ${asker}), 0)::integer as by_asker,
      coalesce(sum(devices), 0)::integer as by_all
    from governor_uses where act = ${act} and at > ${since}`.execute(db)
  return { byAsker: rows[0]?.by_asker ?? 0, byAll: rows[0]?.by_all ?? 0 }
}

/** Notes that an act was accepted. */
export async function insertUse(
  trx: Tx,
  use: { act: GovernedAct; asker: string; devices: number; at: Date },
): Promise<void> {
  await trx.insertInto('governor_uses').values(use).execute()
}

/** Forgets what counts no more. */
export async function deleteUsesBefore(db: Queries, before: Date): Promise<void> {
  await db.deleteFrom('governor_uses').where('at', '<=', before).execute()
}
