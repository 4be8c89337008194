import { sql, type Kysely, type Selectable } from 'kysely'
import { beginsWith, within, type Database, type Tx } from '../../db/index.ts'
import { afterPush } from '../../db/statements/push-again.ts'
import type { CommandsTable, DeliveryHistoryTable, PendingDeliveriesTable } from '../../db/tables/commands.ts'

type Reader = Kysely<Database> | Tx

/** A row of `commands`. */
export type Command = Omit<Selectable<CommandsTable>, 'is_plain'>

/** A command's way to one enrollment, pending or finished. */
export interface Delivery {
  enrollment_id: string
  command_uuid: string
  state: PendingDeliveriesTable['state']['__select__'] | DeliveryHistoryTable['state']
  not_now_count: number
  error_chain: unknown
  /** What of the answer could not be read. */
  result_problem: string | null
  created_at: Date
  sent_at: Date | null
  finished_at: Date | null
}

/** Adds a command; false when its uuid is taken. */
export async function insertCommand(trx: Tx, command: Command): Promise<boolean> {
  const result = await trx
    .insertInto('commands')
    .values(command)
    .onConflict((oc) => oc.doNothing())
    .executeTakeFirst()
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n
}

/** Puts a command into the queues of its targets. `pushAgainAt`: when to push if nothing is heard until then. */
export async function insertDeliveries(trx: Tx, command: Command, pushAgainAt: Date): Promise<void> {
  await sql`
    insert into pending_deliveries
      (enrollment_id, command_uuid, priority, not_before, expires_at, push_at, created_at)
    select id, ${command.uuid}, ${command.priority}, ${command.not_before}::timestamptz,
      ${command.expires_at}::timestamptz, ${pushAgainAt}::timestamptz, ${command.created_at}::timestamptz
    from unnest(${command.target_ids}::text[]) as t (id)`.execute(trx)
}

/** Moves pending deliveries that match to the history as `state` and returns what they were. */
async function finishPending(
  trx: Tx,
  where: ReturnType<typeof sql>,
  state: 'expired' | 'cancelled',
  at: Date,
): Promise<{ enrollment_id: string; command_uuid: string; request_type: string | null }[]> {
  const result = await sql<{ enrollment_id: string; command_uuid: string; request_type: string | null }>`
    with gone as (delete from pending_deliveries p where ${where} returning p.*),
    kept as (
      insert into delivery_history
        (enrollment_id, command_uuid, state, not_now_count, created_at, sent_at, finished_at)
      select enrollment_id, command_uuid, ${state}, not_now_count, created_at, sent_at, ${at}::timestamptz from gone
    )
    select g.enrollment_id, g.command_uuid, c.request_type from gone g left join commands c on c.uuid = g.command_uuid
    `.execute(trx)
  return result.rows
}

/** Cancels everything that is pending for these enrollments. */
export function cancelPendingOf(trx: Tx, enrollmentIds: readonly string[], at: Date) {
  return finishPending(trx, sql`p.enrollment_id = any(${enrollmentIds}::text[])`, 'cancelled', at)
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

/** Ends up to `limit` deliveries whose time has run out; those that another process is at are left to it. */
export function expireDue(trx: Tx, at: Date, limit: number) {
  return finishPending(
    trx,
    sql`(p.enrollment_id, p.command_uuid) in (
      select enrollment_id, command_uuid from pending_deliveries
      where expires_at <= ${at}::timestamptz limit ${limit} for update skip locked)`,
    'expired',
    at,
  )
}

/**
 * Enrollments with something deliverable that have not been heard of since it was due, and notes when they are next
 * looked at after a push that brought nothing (db/statements/push-again.ts).
 */
export async function takePushDue(trx: Tx, at: Date, limit: number): Promise<string[]> {
  const result = await sql<{ enrollment_id: string }>`
    with due as (
      select enrollment_id, command_uuid from pending_deliveries
      where push_at <= ${at}::timestamptz and (not_before is null or not_before <= ${at}::timestamptz)
        and (expires_at is null or expires_at > ${at}::timestamptz)
      limit ${limit} for update skip locked
    ),
    noted as (
      update pending_deliveries p set push_count = least(p.push_count + 1, 100),
        push_at = ${at}::timestamptz + ${sql.raw(afterPush('p.push_count'))}
      from due where p.enrollment_id = due.enrollment_id and p.command_uuid = due.command_uuid
      returning p.enrollment_id
    )
    select distinct enrollment_id from noted`.execute(trx)
  return result.rows.map((row) => row.enrollment_id)
}

/** A command by its uuid. */
export function findCommand(db: Reader, uuid: string): Promise<Command | undefined> {
  return db.selectFrom('commands').selectAll().where('uuid', '=', uuid).executeTakeFirst()
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

/** Which of these enrollments have anything pending. */
export async function withPending(db: Reader, ids: readonly string[]): Promise<string[]> {
  const result = await sql<{ enrollment_id: string }>`
    select distinct enrollment_id from pending_deliveries where enrollment_id = any(${ids}::text[])`.execute(
    db,
  )
  return result.rows.map((row) => row.enrollment_id)
}

/** Commands, newest first; `before` is the last one of the page before. */
export function listCommands(
  db: Reader,
  query: {
    limit: number
    before?: { at: Date; uuid: string }
    request_type?: string
    search?: string
    since?: string
    until?: string
  },
): Promise<Omit<Command, 'body'>[]> {
  let select = db
    .selectFrom('commands')
    .select(['uuid', 'request_type', 'purpose', 'priority', 'not_before', 'expires_at', 'target_ids'])
    .select(['created_by', 'created_at'])
    .where(beginsWith(['uuid', 'request_type'], query.search))
    .where(within('created_at', query))
    .orderBy('created_at', 'desc')
    .orderBy('uuid', 'desc')
    .limit(query.limit)
  if (query.request_type !== undefined) select = select.where('request_type', '=', query.request_type)
  if (query.before)
    select = select.where(
      sql<boolean>`(created_at, uuid) < (${query.before.at}::timestamptz, ${query.before.uuid})`,
    )
  return select.execute()
}

const PENDING_COLUMNS = sql`enrollment_id, command_uuid, state, not_now_count, null::jsonb as error_chain,
  null::text as result_problem, created_at, sent_at, null::timestamptz as finished_at`
const HISTORY_COLUMNS = sql`enrollment_id, command_uuid, state, not_now_count, error_chain, result_problem,
  created_at, sent_at, finished_at`

/** The deliveries of one command to these targets. */
export async function deliveriesOf(
  db: Reader,
  uuid: string,
  targets: readonly string[],
): Promise<Delivery[]> {
  const result = await sql<Delivery>`
    select ${PENDING_COLUMNS} from pending_deliveries
      where enrollment_id = any(${targets}::text[]) and command_uuid = ${uuid}
    union all
    select ${HISTORY_COLUMNS} from delivery_history
      where enrollment_id = any(${targets}::text[]) and command_uuid = ${uuid}
    order by enrollment_id, finished_at nulls last`.execute(db)
  return result.rows
}

/** A delivery together with what was to be done. */
export type DeviceDelivery = Delivery & { request_type: string | null; seq: number | null }

/** The enrollments for which at least one of these commands is pending. */
export async function pendingAmong(
  db: Reader,
  pairs: readonly { enrollment_id: string; uuid: string }[],
): Promise<Set<string>> {
  if (pairs.length === 0) return new Set()
  const result = await sql<{ enrollment_id: string }>`
    select distinct p.enrollment_id from pending_deliveries p
    join unnest(${pairs.map((pair) => pair.enrollment_id)}::text[], ${pairs.map((pair) => pair.uuid)}::text[])
      as w (enrollment_id, uuid) on p.enrollment_id = w.enrollment_id and p.command_uuid = w.uuid`.execute(db)
  return new Set(result.rows.map((row) => row.enrollment_id))
}

/** What is pending for an enrollment, in the order in which it will be delivered. */
export async function pendingOf(db: Reader, enrollmentId: string): Promise<DeviceDelivery[]> {
  const result = await sql<DeviceDelivery>`
    select p.enrollment_id, p.command_uuid, p.state, p.not_now_count, null::jsonb as error_chain,
      null::text as result_problem, p.created_at, p.sent_at, null::timestamptz as finished_at, p.seq, c.request_type
    from pending_deliveries p left join commands c on c.uuid = p.command_uuid
    where p.enrollment_id = ${enrollmentId} order by p.priority desc, p.seq`.execute(db)
  return result.rows
}

/** What an enrollment has finished, newest first; `before` is the last one of the page before. */
export async function historyOf(
  db: Reader,
  enrollmentId: string,
  query: { limit: number; before?: { at: Date; uuid: string } },
): Promise<DeviceDelivery[]> {
  const before = query.before
    ? sql`and (h.finished_at, h.command_uuid) < (${query.before.at}::timestamptz, ${query.before.uuid})`
    : sql``
  const result = await sql<DeviceDelivery>`
    select h.enrollment_id, h.command_uuid, h.state, h.not_now_count, h.error_chain, h.result_problem, h.created_at,
      h.sent_at, h.finished_at, null::bigint as seq, c.request_type
    from delivery_history h left join commands c on c.uuid = h.command_uuid
    where h.enrollment_id = ${enrollmentId} ${before}
    order by h.finished_at desc, h.command_uuid desc limit ${query.limit}`.execute(db)
  return result.rows
}

/** The device's answer to a command, as it came. */
export async function findResult(
  db: Reader,
  enrollmentId: string,
  uuid: string,
): Promise<{ result: Buffer | null; finished_at: Date } | undefined> {
  return db
    .selectFrom('delivery_history')
    .select(['result', 'finished_at'])
    .where('enrollment_id', '=', enrollmentId)
    .where('command_uuid', '=', uuid)
    .orderBy('finished_at', 'desc')
    .executeTakeFirst()
}

/** The pending commands of an enrollment with their plists, for NanoMDM's queue call. */
export function pendingCommandsOf(
  db: Reader,
  enrollmentId: string,
  query: { limit: number; afterSeq?: number },
): Promise<{ seq: number; uuid: string; request_type: string; body: Buffer }[]> {
  let select = db
    .selectFrom('pending_deliveries as p')
    .innerJoin('commands as c', 'c.uuid', 'p.command_uuid')
    .select(['p.seq', 'c.uuid', 'c.request_type', 'c.body'])
    .where('p.enrollment_id', '=', enrollmentId)
    .orderBy('p.seq')
    .limit(query.limit)
  if (query.afterSeq !== undefined) select = select.where('p.seq', '>', query.afterSeq)
  return select.execute()
}

/** Deletes commands made before `before` that are nowhere pending, at most `limit`; returns how many. */
export async function deleteCommandsBefore(db: Reader, before: Date, limit: number): Promise<number> {
  const result = await sql`
    delete from commands where uuid in (
      select c.uuid from commands c where c.created_at < ${before}::timestamptz
        and not exists (select 1 from pending_deliveries p
          where p.command_uuid = c.uuid and p.enrollment_id = any(c.target_ids))
      limit ${limit})`.execute(db)
  return Number(result.numAffectedRows ?? 0n)
}
