import type { Db } from '../database.ts'
import type { EnrollmentsTable } from '../tables/devices.ts'
import { batchStatement, byPlace } from './statement.ts'
import { CALLER } from './caller.ts'

/** TokenUpdates in one statement. */
export const TOKENS_AT_ONCE = 128

/** A TokenUpdate, ready for the statement. */
export interface TokenWrite {
  /** The channel that speaks, and the device channel to which its certificate is bound. */
  enrollmentId: string
  deviceId: string
  type: EnrollmentsTable['type']
  fingerprint: Buffer
  topic: string
  pushToken: Buffer
  pushMagic: string
  /** Sealed; null keeps the stored one. */
  unlockToken: Buffer | null
  awaitingConfiguration: boolean | null
  notOnConsole: boolean | null
  /** The message, sealed, and the SHA-256 of what it is. */
  raw: Buffer
  digest: Buffer
}

/** What came of it. No row for a request means: this certificate does not act for this channel with this topic. */
export interface TokenOutcome {
  n: number
  /** The event that was written of it, or stands for one that said nothing new. */
  told_type: 'device.enrolled' | 'device.token_updated'
  told_data: Record<string, unknown>
  serial_number: string | null
  /** Of the attempt that this closed. */
  user_name: string | null
  attempt_id: string | null
  /** The certificate is not known as the one that the enrollment uses. */
  is_new_voice: boolean
}

/** Whether a DeviceConfigured is on its way to a device that is held. */
const STILL_ASKED = `(r.generation = excluded.generation and exists (
  select from pending_deliveries p where p.enrollment_id = r.enrollment_id and p.command_uuid = r.configured_uuid))`

/**
 * A device that says that it waits in Setup Assistant is held, from its first word of that on, until it was let go. What was held
 * of an earlier enrollment counts no more; what says so again once it was let go, or has answered, is let go once more.
 */
const HELD = (
  at: string,
) => `insert into setup_releases as r (enrollment_id, generation, command_uuids, created_at, next_at)
  select id, generation, case when tally > 1 then '{}'::text[] end, ${at}, ${at} from updated where awaiting and is_device
  on conflict (enrollment_id) do update set generation = excluded.generation, released_at = null, next_at = excluded.next_at,
    looks = 0,
    created_at = case when r.generation = excluded.generation then r.created_at else excluded.created_at end,
    deadline = case when r.generation = excluded.generation then r.deadline end,
    command_uuids = case when r.generation = excluded.generation then r.command_uuids else excluded.command_uuids end,
    is_retried = r.is_retried and r.generation = excluded.generation,
    ${(['configured_uuid', 'reason'] as const)
      .map((column) => `${column} = case when ${STILL_ASKED} then r.${column} end`)
      .join(', ')},
    missing = case when ${STILL_ASKED} then r.missing else '[]' end,
    tries = case when ${STILL_ASKED} then r.tries else 0 end`

/**
 * The generation is looked at twice, before and after a wait for the row: a device that says Authenticate at the same
 * moment with another certificate must not be completed with the tokens of before.
 */
const tokenUpdate = batchStatement<TokenWrite, TokenOutcome, 'at' | 'most_bytes'>({
  name: 'token_update',
  columns: {
    id: ['text', (write) => write.enrollmentId],
    device: ['text', (write) => write.deviceId],
    type: ['text', (write) => write.type],
    fingerprint: ['bytea', (write) => write.fingerprint],
    topic: ['text', (write) => write.topic],
    token: ['bytea', (write) => write.pushToken],
    magic: ['text', (write) => write.pushMagic],
    unlock: ['bytea', (write) => write.unlockToken],
    awaiting: ['boolean', (write) => write.awaitingConfiguration],
    not_on_console: ['boolean', (write) => write.notOnConsole],
    raw: ['bytea', (write) => write.raw],
    digest: ['bytea', (write) => write.digest],
  },
  given: {
    at: 'timestamptz',
    most_bytes: 'integer',
  },
  text: (input, given) => `
with input as materialized (
  ${input}
), caller as materialized (
  select i.*, c.use <> 'current' as is_new_voice, e.generation,
    e.message_digest is distinct from i.digest as is_changed,
    e.messages_since is null or e.messages_since <= ${given.at} - interval '1 day' as is_new_day
  from input i
  ${CALLER} and e.type = i.type
  order by i.id
), updated as (
  update enrollments e set push_token = i.token, push_magic = i.magic,
    unlock_token = coalesce(i.unlock, e.unlock_token),
    awaiting_configuration = coalesce(i.awaiting, e.awaiting_configuration),
    not_on_console = coalesce(i.not_on_console, e.not_on_console), authenticates_again = false,
    token_update_tally = e.token_update_tally + 1, token_updated_at = ${given.at},
    enrolled_at = coalesce(e.enrolled_at, ${given.at}),
    last_seen_at = case when e.token_update_tally = 0 then ${given.at} else e.last_seen_at end,
    push_state = 'ok', push_reason = null, unregistered_at = null, erased_at = null, message_digest = i.digest,
    message_repeats = case when i.is_changed then 0 else e.message_repeats + 1 end,
    messages_since = case when i.is_new_day then ${given.at} else e.messages_since end,
    message_bytes = least(case when i.is_new_day then 0 else e.message_bytes end
      + case when i.is_changed then length(i.raw) else 0 end, ${given.most_bytes} + 1),
    updated_at = ${given.at}, version = e.version + 1
  from caller i
  where e.id = i.id and e.generation = i.generation and e.unenrolled_at is null and e.topic = i.topic
  returning i.n, e.id, e.type, e.serial_number, e.attempt_id, e.token_update_tally as tally,
    e.parent_id, e.parent_id is null as is_device, e.way, e.generation, i.awaiting, i.raw,
    i.is_new_voice, i.is_changed and e.message_bytes <= ${given.most_bytes} as is_news
), alive as (
  update enrollments e set unregistered_at = null
  from updated u where e.id = u.parent_id and e.unregistered_at is not null
), message as (
  insert into checkin_messages (enrollment_id, message_type, received_at, raw)
  select id, 'TokenUpdate', ${given.at}, raw from updated where is_news
), enrolled as materialized (
  select * from updated where is_device and tally = 1
), closed as (
  update enrollment_attempts a
  set outcome = 'enrolled', reason = null, closed_at = ${given.at}, updated_at = ${given.at}
  from enrolled e where a.id = e.attempt_id and a.outcome in ('in_progress', 'expired')
  returning e.n, a.user_name
), passed as (
  insert into enrollment_attempt_steps (attempt_id, at, step, outcome)
  select attempt_id, ${given.at}, 'token_update', 'passed' from enrolled e
  where exists (select from enrollment_attempts a where a.id = e.attempt_id)
), noted as (
  update ade_devices d set enrolled_at = ${given.at}
  from (
    select serial_number from enrolled where serial_number is not null and way in ('ade', 'ade_web')
    order by serial_number
  ) e
  where d.serial_number = e.serial_number
), held as (
  ${HELD(given.at)}
), facts as materialized (
  select u.n, u.id, u.serial_number, c.user_name, u.is_news or u.is_first as is_kept,
    case when u.is_first then 'device.enrolled' else 'device.token_updated' end as told_type,
    case when u.is_first then u.attempt_id end as attempt_id,
    jsonb_build_object('tally', u.tally)
      || case u.tally when 1 then jsonb_build_object('type', u.type) else '{}' end
      || case when u.is_first or u.awaiting
        then jsonb_build_object('awaiting_configuration', coalesce(u.awaiting, false)) else '{}' end as told_data
  from (select *, is_device and tally = 1 as is_first from updated) u left join closed c on c.n = u.n
), told as (
  insert into event_outbox (type, at, enrollment_id, serial_number, user_name, attempt_id, data)
  select told_type, ${given.at}, id, serial_number, user_name, attempt_id, told_data from facts where is_kept order by n
), woken as (
  insert into push_needs (enrollment_id, due_at, created_at)
  select u.id, ${given.at}, ${given.at} from updated u
  where exists (select 1 from pending_deliveries p where p.enrollment_id = u.id)
  on conflict (enrollment_id) do update set due_at = excluded.due_at, attempts = 0, pushed_at = null,
    claimed_until = null
)
select f.n, f.told_type, f.told_data, f.serial_number, f.user_name, f.attempt_id, u.is_new_voice
from facts f join updated u on u.n = f.n`,
})

/** Runs a batch of TokenUpdates, at most one per channel; outcomes by position. `mostBytes`: kept of a channel's messages in a day. */
export async function writeTokens(
  db: Db,
  writes: readonly TokenWrite[],
  mostBytes: number,
  at: Date,
): Promise<(TokenOutcome | undefined)[]> {
  return byPlace(await tokenUpdate.run(db, writes, { at, most_bytes: mostBytes }), writes.length)
}
