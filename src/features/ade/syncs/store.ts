import type { Insertable, Selectable } from 'kysely'
import { withoutNul, type Queries, type Tx } from '../../../db/index.ts'
import type { AdeSyncsTable } from '../../../db/tables/ade.ts'
import type { PageCounts } from './pages-store.ts'

/** A run of a sync. */
export type SyncRun = Selectable<AdeSyncsTable>

/** Adds a run; undefined when one of the server is running. */
export function insertRun(trx: Tx, run: Insertable<AdeSyncsTable>): Promise<SyncRun | undefined> {
  return trx
    .insertInto('ade_syncs')
    .values(run)
    .onConflict((conflict) => conflict.column('ade_server_id').where('state', '=', 'running').doNothing())
    .returningAll()
    .executeTakeFirst()
}

/** A run of a server. */
export function findRun(db: Queries, serverId: string, id: string): Promise<SyncRun | undefined> {
  return db
    .selectFrom('ade_syncs')
    .selectAll()
    .where('ade_server_id', '=', withoutNul(serverId))
    .where('id', '=', withoutNul(id))
    .executeTakeFirst()
}

/** Runs of a server, newest first, older than `before`. */
export function listRuns(
  db: Queries,
  query: { serverId: string; before?: string | undefined; limit: number },
): Promise<SyncRun[]> {
  const select = db
    .selectFrom('ade_syncs')
    .selectAll()
    .where('ade_server_id', '=', query.serverId)
    .orderBy('id', 'desc')
    .limit(query.limit)
  return (query.before === undefined ? select : select.where('id', '<', query.before)).execute()
}

/** The newest run of each of these servers. */
export async function findLastRuns(db: Queries, serverIds: readonly string[]): Promise<Map<string, SyncRun>> {
  if (serverIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('ade_syncs')
    .selectAll()
    .distinctOn('ade_server_id')
    .where('ade_server_id', 'in', serverIds)
    .orderBy('ade_server_id')
    // The clocks of processes differ: one that runs is the last one, whatever its id says.
    .orderBy((eb) => eb('state', '=', 'running'), 'desc')
    .orderBy('id', 'desc')
    .execute()
  return new Map(rows.map((run) => [run.ade_server_id, run]))
}

/** Running runs whose time is over: of one server, or of all. */
export function findOverdue(db: Queries, now: Date, serverId?: string): Promise<SyncRun[]> {
  const select = db
    .selectFrom('ade_syncs')
    .selectAll()
    .where('state', '=', 'running')
    .where('ends_by', '<=', now)
  return (serverId === undefined ? select : select.where('ade_server_id', '=', serverId)).execute()
}

/** Takes over runs whose process seems to be dead. */
export function adoptRuns(
  db: Queries,
  claim: { worker: string; now: Date; until: Date },
): Promise<SyncRun[]> {
  return db
    .updateTable('ade_syncs')
    .set({ worker: claim.worker, worker_until: claim.until })
    .where('state', '=', 'running')
    .where('ends_by', '>', claim.now)
    .where((eb) => eb.or([eb('worker', 'is', null), eb('worker_until', '<=', claim.now)]))
    .returningAll()
    .execute()
}

/** Adds what a page brought. */
export async function addCounts(
  trx: Tx,
  id: string,
  counts: Partial<PageCounts & { leftOut: number }>,
): Promise<void> {
  await trx
    .updateTable('ade_syncs')
    .set((eb) => ({
      seen: eb('seen', '+', counts.seen ?? 0),
      added: eb('added', '+', counts.added ?? 0),
      changed: eb('changed', '+', counts.changed ?? 0),
      removed: eb('removed', '+', counts.removed ?? 0),
      left_out: eb('left_out', '+', counts.leftOut ?? 0),
    }))
    .where('id', '=', id)
    .execute()
}

/** How many records could not be used since all devices began to be fetched with this mark, in this run and those before. */
export async function leftOutSince(trx: Tx, run: SyncRun, mark: string): Promise<number> {
  const { total } = await trx
    .selectFrom('ade_syncs')
    .select((eb) => eb.fn.coalesce(eb.fn.sum<number>('left_out'), eb.val(0)).as('total'))
    .where('ade_server_id', '=', run.ade_server_id)
    .where((eb) => eb.or([eb('id', '=', run.id), eb('id', '>=', mark)]))
    .executeTakeFirstOrThrow()
  return total
}

/** A run turns out to be a full one. */
export async function makeFull(trx: Tx, id: string): Promise<void> {
  await trx.updateTable('ade_syncs').set({ kind: 'full' }).where('id', '=', id).execute()
}

/** Ends a running run; undefined when it was not running any more. */
export function endRun(
  trx: Tx,
  id: string,
  end: Pick<SyncRun, 'state' | 'finished_at' | 'error' | 'error_code'>,
): Promise<SyncRun | undefined> {
  return trx
    .updateTable('ade_syncs')
    .set({ ...withoutNul(end), worker: null, worker_until: null })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .returningAll()
    .executeTakeFirst()
}

/** The running run of a server. */
export function findRunning(db: Queries, serverId: string): Promise<SyncRun | undefined> {
  return db
    .selectFrom('ade_syncs')
    .selectAll()
    .where('ade_server_id', '=', serverId)
    .where('state', '=', 'running')
    .executeTakeFirst()
}
