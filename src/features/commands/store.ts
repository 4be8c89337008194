import { sql, type Kysely, type Selectable } from 'kysely'
import { beginsWith, within, type Database, type Tx } from '../../db/index.ts'
import type { CommandsTable, DeliveryHistoryTable, PendingDeliveriesTable } from '../../db/tables/commands.ts'

type Reader = Kysely<Database> | Tx

/** A row of `commands`. */
export type Command = Omit<Selectable<CommandsTable>, 'is_plain' | 'forced' | 'parts' | 'governed'>

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
  /** Why it was cancelled, where nobody said so. */
  reason: string | null
}

/** A command by its uuid. */
export function findCommand(db: Reader, uuid: string): Promise<Command | undefined> {
  return db.selectFrom('commands').selectAll().where('uuid', '=', uuid).executeTakeFirst()
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
  null::text as result_problem, created_at, sent_at, null::timestamptz as finished_at,
  null::text as reason`
const HISTORY_COLUMNS = sql`enrollment_id, command_uuid, state, not_now_count, error_chain, result_problem,
  created_at, sent_at, finished_at, reason`

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

/** What is pending for an enrollment, in the order in which it will be delivered. */
export async function pendingOf(db: Reader, enrollmentId: string): Promise<DeviceDelivery[]> {
  const result = await sql<DeviceDelivery>`
    select p.enrollment_id, p.command_uuid, p.state, p.not_now_count, null::jsonb as error_chain,
      null::text as result_problem, p.created_at, p.sent_at, null::timestamptz as finished_at, null::text as reason, p.seq,
      c.request_type
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
      h.sent_at, h.finished_at, h.reason, null::bigint as seq, c.request_type
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

/** What these commands are for; with their bodies, but for those of our own inventory. */
export async function findAsked(
  db: Reader,
  uuids: readonly string[],
): Promise<{ uuid: string; purpose: Command['purpose']; body: Buffer | null }[]> {
  const result = await sql<{ uuid: string; purpose: Command['purpose']; body: Buffer | null }>`
    select uuid, purpose, case when purpose is distinct from 'inventory' then body end as body
    from commands where uuid = any(${uuids}::text[])`.execute(db)
  return result.rows
}

/**
 * The inventory that these enrollments were asked for by the server and of which the answer has not come, or not been taken in,
 * yet; the oldest first. What a device tells only once (that an app was declined) is not overtaken by a second answer that way.
 */
export async function unansweredInventory(
  db: Reader,
  ids: readonly string[],
): Promise<{ enrollment_id: string; request_type: string; command_uuid: string }[]> {
  const result = await sql<{ enrollment_id: string; request_type: string; command_uuid: string }>`
    select enrollment_id, request_type, command_uuid from (
      select a.enrollment_id, a.command_uuid, 0 as place, a.seq from command_answers a
      where a.enrollment_id = any(${ids}::text[]) and a.topic = 'inventory' and a.tries = 0
      union all
      select p.enrollment_id, p.command_uuid, 1, p.seq from pending_deliveries p
      where p.enrollment_id = any(${ids}::text[])
    ) asked join commands c on c.uuid = command_uuid
    where c.purpose = 'inventory'
    order by place, asked.seq`.execute(db)
  return result.rows
}

/** A command that an enrollment has ended, and the answer. */
export function findAnswered(
  db: Reader,
  enrollmentId: string,
  uuid: string,
): Promise<(Pick<Command, 'request_type' | 'purpose' | 'body'> & { result: Buffer | null }) | undefined> {
  return db
    .selectFrom('delivery_history as h')
    .innerJoin('commands as c', 'c.uuid', 'h.command_uuid')
    .select(['c.request_type', 'c.purpose', 'c.body', 'h.result'])
    .where('h.enrollment_id', '=', enrollmentId)
    .where('h.command_uuid', '=', uuid)
    .orderBy('h.finished_at', 'desc')
    .executeTakeFirst()
}

/** Whether an enrollment has a command of this type to do. */
export async function isPending(db: Reader, enrollmentId: string, requestType: string): Promise<boolean> {
  const found = await db
    .selectFrom('pending_deliveries as p')
    .innerJoin('commands as c', 'c.uuid', 'p.command_uuid')
    .select('p.seq')
    .where('p.enrollment_id', '=', enrollmentId)
    .where('c.request_type', '=', requestType)
    .executeTakeFirst()
  return found !== undefined
}
