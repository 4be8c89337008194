import { sql, type Selectable } from 'kysely'
import type { Queries } from '../database.ts'
import type { AdeServersTable, AdeSyncsTable } from '../tables/ade.ts'
import type { CommandsTable, DeliveryHistoryTable, PendingDeliveriesTable } from '../tables/commands.ts'
import type { ApprovalsTable } from '../tables/governor.ts'
import type { PushTables } from '../tables/push.ts'
import type { RolloutsTable } from '../tables/rollout.ts'
import type { SetupReleasesTable } from '../tables/setup-release.ts'

// What is known of a device beside its own rows, for those who ask why it is as it is.

/** An ADE server, and how its last sync that is over went. */
export type ServerFacts = Pick<
  Selectable<AdeServersTable>,
  'id' | 'name' | 'token_expires_at' | 'stopped_reason' | 'next_scheduled_sync_at'
> & {
  has_token: boolean
  sync: Pick<Selectable<AdeSyncsTable>, 'state' | 'error' | 'finished_at'> | null
}

/** What decides whether Apple is told and asked anything for a server. */
export async function serverFacts(db: Queries, id: string): Promise<ServerFacts | undefined> {
  const { rows } = await sql<
    Omit<ServerFacts, 'sync'> & { state: AdeSyncsTable['state'] | null } & Pick<
        NonNullable<ServerFacts['sync']>,
        'error' | 'finished_at'
      >
  >`
    select v.id, v.name, v.token is not null as has_token, v.token_expires_at, v.stopped_reason,
      v.next_scheduled_sync_at, s.state, s.error, s.finished_at
    from ade_servers v left join lateral (
      select state, error, finished_at from ade_syncs where ade_server_id = v.id and state <> 'running'
      order by id desc limit 1) s on true
    where v.id = ${id}`.execute(db)
  const [row] = rows
  if (row === undefined) return undefined
  const { state, error, finished_at, ...server } = row
  return { ...server, sync: state === null ? null : { state, error, finished_at } }
}

/** The hold of a device in Setup Assistant, as long as it is owed its release. */
export type HoldFacts = Pick<Selectable<SetupReleasesTable>, 'created_at' | 'deadline' | 'reason'>

/** The hold of a device in its present enrollment. */
export async function holdOf(db: Queries, enrollmentId: string): Promise<HoldFacts | undefined> {
  const { rows } = await sql<HoldFacts>`
    select r.created_at, r.deadline, r.reason
    from setup_releases r join enrollments e on e.id = r.enrollment_id and e.generation = r.generation
    where r.enrollment_id = ${enrollmentId} and r.released_at is null`.execute(db)
  return rows[0]
}

/** What waits for a second person. */
export type WaitingApproval = Pick<
  Selectable<ApprovalsTable>,
  'id' | 'act' | 'asked_by' | 'created_at' | 'expires_at'
>

/** The newest act for one of these devices (enrollments, or serial numbers) that waits for a second person. */
export function waitingApprovalOf(db: Queries, ids: readonly string[]): Promise<WaitingApproval | undefined> {
  return db
    .selectFrom('approvals')
    .select(['id', 'act', 'asked_by', 'created_at', 'expires_at'])
    .where('state', '=', 'waiting')
    .where(sql<boolean>`device_ids && ${ids}::text[]`)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** An act that was refused, because of a limit or because all is stopped. */
export type RefusedAct = { at: Date; reason: string; act: string }

/** The newest of them for a device, since a time. */
export async function refusedActOf(
  db: Queries,
  enrollmentId: string,
  since: Date,
): Promise<RefusedAct | undefined> {
  const { rows } = await sql<RefusedAct>`
    select at, reason, data ->> 'act' as act from events
    where enrollment_id = ${enrollmentId} and type = 'governor.refused' and at >= ${since}
    order by id desc limit 1`.execute(db)
  return rows[0]
}

/** What is to be pushed to a channel. */
export type PushNeed = Pick<Selectable<PushTables['push_needs']>, 'due_at' | 'attempts' | 'pushed_at'>

/** Whether a channel is being woken. */
export function pushNeedOf(db: Queries, enrollmentId: string): Promise<PushNeed | undefined> {
  return db
    .selectFrom('push_needs')
    .select(['due_at', 'attempts', 'pushed_at'])
    .where('enrollment_id', '=', enrollmentId)
    .executeTakeFirst()
}

/** A command that somebody asked for, in the queue of a channel. */
export type QueuedCommand = Pick<
  Selectable<PendingDeliveriesTable>,
  'command_uuid' | 'state' | 'not_before' | 'expires_at' | 'not_now_count' | 'sent_at' | 'created_at'
> &
  Pick<CommandsTable, 'request_type' | 'purpose'>

/** Of very long queues the rest is not looked at. */
const MOST_QUEUED = 200

/** What is in the queue of a channel in its order, but for the server's own inventory and what groups deliver. */
export async function queueOf(db: Queries, enrollmentId: string): Promise<QueuedCommand[]> {
  const { rows } = await sql<QueuedCommand>`
    select q.*, c.request_type, c.purpose from (
      select command_uuid, state, not_before, expires_at, not_now_count, sent_at, created_at, priority, seq
      from pending_deliveries where enrollment_id = ${enrollmentId} order by priority desc, seq limit ${MOST_QUEUED}
    ) q join commands c on c.uuid = q.command_uuid
    where c.purpose is null or c.purpose in ('act', 'unenroll')
    order by q.priority desc, q.seq`.execute(db)
  return rows
}

/** The end of a command that somebody asked for. */
export type EndedCommand = Pick<
  Selectable<DeliveryHistoryTable>,
  'command_uuid' | 'state' | 'error_chain' | 'reason' | 'finished_at'
> &
  Pick<CommandsTable, 'request_type'>

/** Inventory and deliveries end more often than what people ask for. */
const MOST_ENDED = 100

/** The last command of a channel that has ended by itself, of those that somebody asked for. */
export async function lastEndOf(db: Queries, enrollmentId: string): Promise<EndedCommand | undefined> {
  const { rows } = await sql<EndedCommand>`
    select h.command_uuid, h.state, h.error_chain, h.reason, h.finished_at, c.request_type from (
      select command_uuid, state, error_chain, reason, finished_at from delivery_history
      where enrollment_id = ${enrollmentId} order by finished_at desc limit ${MOST_ENDED}
    ) h join commands c on c.uuid = h.command_uuid
    where (c.purpose is null or c.purpose in ('act', 'unenroll'))
      and (h.state <> 'cancelled' or h.reason not in ('re_enrolled', 'unenrolled'))
    order by h.finished_at desc, h.command_uuid desc limit 1`.execute(db)
  return rows[0]
}

/** A rollout that is halted. */
export type HaltedRollout = Pick<
  Selectable<RolloutsTable>,
  'id' | 'kind' | 'thing_id' | 'revision' | 'reason' | 'updated_at'
>

/** The halted rollouts of these things. */
export async function haltedRollouts(
  db: Queries,
  things: readonly { kind: string; id: string }[],
): Promise<HaltedRollout[]> {
  if (things.length === 0) return []
  const { rows } = await sql<HaltedRollout>`
    select r.id, r.kind, r.thing_id, r.revision, r.reason, r.updated_at
    from unnest(${things.map(({ kind }) => kind)}::text[], ${things.map(({ id }) => id)}::text[]) as t (kind, id)
    join rollouts r on r.kind = t.kind and r.thing_id = t.id
    where r.state = 'halted' order by r.id`.execute(db)
  return rows
}
