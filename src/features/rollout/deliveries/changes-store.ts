import { sql } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { Kind } from './types.ts'

/** How far a change has come. */
interface ChangeProgress {
  id: string
  state: 'running' | 'finished' | 'stopped'
  devices: number
  /** Devices that were not looked at yet. */
  unvisited: number
  /** Devices for which something of it is under way. */
  open: number
  created_at: Date
}

/** A change, counted. */
export async function findChange(db: Queries, id: string): Promise<ChangeProgress | undefined> {
  const { rows } = await sql<ChangeProgress>`
    select c.id, c.state, c.devices, c.created_at,
      (select count(*)::integer from delivery_needs n where n.change_id = c.id) as unvisited,
      (select count(*)::integer from (
        select from deliveries d where d.change_id = c.id and d.state in ('pending', 'queued', 'removing')
        group by d.enrollment_id) as devices) as open
    from delivery_changes c where c.id = ${id}`.execute(db)
  return rows[0]
}

/** Ends a change in one way or the other, if it runs; false when it does not. */
export async function endChange(
  trx: Tx,
  id: string,
  { state, now }: { state: 'finished' | 'stopped'; now: Date },
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('delivery_changes')
    .set({ state, finished_at: now })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** The devices for which something of a change is under way are to be visited: it was stopped. */
export async function needOfStopped(trx: Tx, id: string, now: Date): Promise<void> {
  await sql`
    insert into delivery_needs (enrollment_id, cause, change_id, asked_at)
    select distinct d.enrollment_id, 'stopped', ${id}, ${now}::timestamptz from deliveries d
    where d.change_id = ${id} and d.state in ('pending', 'queued', 'removing')
    on conflict (enrollment_id) do nothing`.execute(trx)
}

/** What is to be tried again: of a device, or of a thing; only what has failed, or all of it. */
export interface RetryOf {
  device?: string
  thing?: { kind: Kind; id: string }
  /** What is installed is sent again, too. */
  force: boolean
  /** Only what has failed. */
  failedOnly: boolean
}

/** Makes deliveries due again, as a change; gives the number of devices. */
export async function retry(
  trx: Tx,
  of: RetryOf,
  { changeId, now }: { changeId: string; now: Date },
): Promise<number> {
  const about = sql`${of.device === undefined ? sql`true` : sql`d.enrollment_id = ${of.device}`}
    and ${of.thing === undefined ? sql`true` : sql`d.kind = ${of.thing.kind} and d.thing_id = ${of.thing.id}`}`
  const where = sql`d.is_wanted and ${about}
    and (d.state in ('failed', 'waiting') or ${of.force}::boolean and d.state in ('installed', 'expired'))
    and (not ${of.failedOnly}::boolean or d.state = 'failed')`
  const { rows } = await sql<{ count: number }>`
    with again as (
      update deliveries d set state = 'pending', reason = null, error_chain = null, attempts = 0, next_try_at = null,
        there_revision = null, there_rendering = null, acknowledged_at = null, is_listed = false, cause = 'retried',
        change_id = ${changeId}, updated_at = ${now}::timestamptz
      where ${where} returning d.enrollment_id
    ), removals as (
      update deliveries d set reason = null, error_chain = null, attempts = 0, next_try_at = null, cause = 'retried',
        change_id = ${changeId}, updated_at = ${now}::timestamptz
      where not d.is_wanted and d.command_uuid is null and ${about} returning d.enrollment_id
    ), tried as (
      select enrollment_id from again union select enrollment_id from removals
    ), needed as (
      insert into delivery_needs (enrollment_id, cause, change_id, asked_at)
      select enrollment_id, 'retried', ${changeId}, ${now}::timestamptz from tried
      on conflict (enrollment_id) do update set change_id = excluded.change_id
    )
    select count(*)::integer as count from tried`.execute(trx)
  return rows[0]?.count ?? 0
}
