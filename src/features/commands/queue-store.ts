import { sql, type Insertable, type Kysely } from 'kysely'
import type { Database, Tx } from '../../db/index.ts'
import { afterPush } from '../../db/statements/push-again.ts'
import type { CommandsTable } from '../../db/tables/commands.ts'
import { MAY_BE_DONE } from '../../db/statements/delivery-facts.ts'

/** A command as it is written down. */
export type CommandRow = Omit<Insertable<CommandsTable>, 'is_plain'>

/**
 * Adds commands, and puts them into the queues of their targets; gives the UUIDs of those that are new. `pushAgainSeconds`: when to
 * push if nothing is heard until then.
 */
export async function insertCommands(
  trx: Tx,
  commands: readonly CommandRow[],
  pushAgainSeconds: number,
): Promise<Set<string>> {
  if (commands.length === 0) return new Set()
  const rows = await trx
    .with('added', (db) =>
      db
        .insertInto('commands')
        .values(commands)
        .onConflict((oc) => oc.doNothing())
        .returningAll(),
    )
    .with('queued', (db) =>
      db
        .insertInto('pending_deliveries')
        .columns([
          'enrollment_id',
          'command_uuid',
          'priority',
          'not_before',
          'expires_at',
          'push_at',
          'created_at',
        ])
        .expression(
          sql`select t.id, c.uuid, c.priority, c.not_before, c.expires_at,
            coalesce(c.not_before, c.created_at) + ${pushAgainSeconds} * interval '1 second', c.created_at
            from added c, unnest(c.target_ids) as t (id)`,
        ),
    )
    .selectFrom('added')
    .select('uuid')
    .execute()
  return new Set(rows.map(({ uuid }) => uuid))
}

/** Moves pending deliveries that match to the history as `state` and returns what they were. */
async function finishPending(
  trx: Tx,
  where: ReturnType<typeof sql>,
  state: 'expired' | 'cancelled',
  at: Date,
  { reason = null, isAwaited = true }: { reason?: string | null; isAwaited?: boolean } = {},
): Promise<{ enrollment_id: string; command_uuid: string; request_type: string | null }[]> {
  const result = await sql<{ enrollment_id: string; command_uuid: string; request_type: string | null }>`
    with gone as (delete from pending_deliveries p where ${where} returning p.*),
    kept as (
      insert into delivery_history
        (enrollment_id, command_uuid, state, not_now_count, created_at, sent_at, finished_at, reason)
      select enrollment_id, command_uuid, ${state}, not_now_count, created_at, sent_at, ${at}::timestamptz,
        ${reason}::text
      from gone
    ),
    awaited as (
      insert into command_answers (topic, enrollment_id, command_uuid, state, at)
      select c.purpose, g.enrollment_id, g.command_uuid, ${state}, ${at}::timestamptz
      from gone g join commands c on c.uuid = g.command_uuid where c.purpose in ('delivery', 'act') and ${isAwaited}::boolean
    )
    select g.enrollment_id, g.command_uuid, c.request_type from gone g left join commands c on c.uuid = g.command_uuid
    `.execute(trx)
  return result.rows
}

/** Cancels everything that is pending for these enrollments. */
export function cancelPendingOf(trx: Tx, enrollmentIds: readonly string[], at: Date, reason: string | null) {
  return finishPending(trx, sql`p.enrollment_id = any(${enrollmentIds}::text[])`, 'cancelled', at, { reason })
}

/** Cancels a command for an enrollment, for which it turned out to be unsuited. */
export function cancelUnsuited(trx: Tx, enrollmentId: string, uuid: string, at: Date, reason: string) {
  const where = sql`p.enrollment_id = ${enrollmentId} and p.command_uuid = ${uuid}`
  return finishPending(trx, where, 'cancelled', at, { reason })
}

/** Cancels the deliveries of a command that have not been sent. */
export function cancelUnsent(trx: Tx, uuid: string, targets: readonly string[], at: Date) {
  return finishPending(
    trx,
    sql`p.enrollment_id = any(${targets}::text[]) and p.command_uuid = ${uuid} and p.state <> 'sent'`,
    'cancelled',
    at,
  )
}

/** Cancels the deliveries of all commands that destroy something and have not been sent. */
export function cancelGoverned(trx: Tx, at: Date) {
  const governed = sql`exists (select from commands c where c.uuid = p.command_uuid and c.governed is not null)`
  return finishPending(trx, sql`p.state <> 'sent' and ${governed}`, 'cancelled', at, {
    reason: 'governor_stopped',
  })
}

/** Whether there is a command of this uuid. */
export async function isKnown(trx: Tx, uuid: string): Promise<boolean> {
  const row = await trx.selectFrom('commands').select('uuid').where('uuid', '=', uuid).executeTakeFirst()
  return row !== undefined
}

/** Ends up to `limit` deliveries whose time has run out; those that another process is at are left to it. */
export function expireDue(trx: Tx, at: Date, limit: number) {
  return finishPending(
    trx,
    sql`p.ctid = any(array(
      select ctid from pending_deliveries where expires_at <= ${at}::timestamptz limit ${limit} for update skip locked))`,
    'expired',
    at,
  )
}

/** Locks what is pending of these commands for these enrollments, and gives it; none of it goes out until the transaction ends. */
export async function lockPending(
  trx: Tx,
  of: readonly { enrollment_id: string; uuid: string }[],
): Promise<{ enrollment_id: string; uuid: string; sent_at: Date | null; may_be_done: boolean }[]> {
  const { rows } = await sql<{
    enrollment_id: string
    uuid: string
    sent_at: Date | null
    may_be_done: boolean
  }>`
    select p.enrollment_id, p.command_uuid as uuid, p.sent_at, ${MAY_BE_DONE} as may_be_done from pending_deliveries p
    where (p.enrollment_id, p.command_uuid) in (
      select * from unnest(${of.map((one) => one.enrollment_id)}::text[], ${of.map(({ uuid }) => uuid)}::text[]))
    order by p.enrollment_id, p.command_uuid for update`.execute(trx)
  return rows
}

/** Cancels what is pending of these commands for these enrollments, sent or not; who takes them back waits for no answer. */
export function takeBack(trx: Tx, of: readonly { enrollment_id: string; uuid: string }[], at: Date) {
  const pairs = sql`select * from unnest(${of.map((one) => one.enrollment_id)}::text[], ${of.map(({ uuid }) => uuid)}::text[])`
  return finishPending(trx, sql`(p.enrollment_id, p.command_uuid) in (${pairs})`, 'cancelled', at, {
    isAwaited: false,
  })
}

/**
 * Enrollments with something deliverable that have not been heard of since it was due, and notes when they are next
 * looked at after a push that brought nothing (db/statements/push-again.ts).
 */
export async function takePushDue(trx: Tx, at: Date, limit: number): Promise<string[]> {
  const result = await sql<{ enrollment_id: string }>`
    with noted as (
      update pending_deliveries set push_count = least(push_count + 1, 100),
        push_at = ${at}::timestamptz + ${sql.raw(afterPush('push_count'))}
      where ctid = any(array(
        select ctid from pending_deliveries
        where push_at <= ${at}::timestamptz and (not_before is null or not_before <= ${at}::timestamptz)
          and (expires_at is null or expires_at > ${at}::timestamptz)
        limit ${limit} for update skip locked))
      returning enrollment_id
    )
    select distinct enrollment_id from noted`.execute(trx)
  return result.rows.map((row) => row.enrollment_id)
}

/** Locks commands whose bodies are not sealed, at most `limit`; those that another process is at are left to it. */
export function lockPlain(trx: Tx, limit: number): Promise<{ uuid: string; body: Buffer }[]> {
  return trx
    .selectFrom('commands')
    .select(['uuid', 'body'])
    .where('is_plain', '=', true)
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute()
}

/** Puts the sealed body of a command in the place of the plain one. */
export async function saveSealed(trx: Tx, uuid: string, body: Buffer): Promise<void> {
  await trx.updateTable('commands').set({ body, is_plain: false }).where('uuid', '=', uuid).execute()
}

/** Deletes commands made before `before` that are nowhere pending, at most `limit`; returns how many. */
export async function deleteCommandsBefore(
  db: Kysely<Database>,
  before: Date,
  limit: number,
): Promise<number> {
  const result = await sql`
    delete from commands where ctid = any(array(
      select c.ctid from commands c where c.created_at < ${before}::timestamptz
        and not exists (select 1 from pending_deliveries p
          where p.command_uuid = c.uuid and p.enrollment_id = any(c.target_ids))
      limit ${limit}))`.execute(db)
  return Number(result.numAffectedRows ?? 0n)
}
