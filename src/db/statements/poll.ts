import type { EnrollmentsTable } from '../tables/devices.ts'
import type { Db } from '../database.ts'
import { batchStatement, byPlace } from './statement.ts'
import { CALLER } from './caller.ts'
import { AFTER_SENT, afterNotNow } from './push-again.ts'

/** Polls in one statement. */
export const POLLS_AT_ONCE = 128

// The statement that carries nearly all of the traffic, for a whole batch of requests: a poll must cost one round trip and one
// commit, whoever's rows it touches.

/** A request to the command endpoint, ready for the statement. */
export interface Poll {
  /** The channel that speaks, and the device channel to which its certificate is bound. */
  enrollmentId: string
  deviceId: string
  fingerprint: Buffer
  status: 'Idle' | 'Acknowledged' | 'Error' | 'CommandFormatError' | 'NotNow'
  commandUuid: string | null
  errorChain: string | null
  /** The device's message, deflated, when it finishes a command. */
  raw: Buffer | null
  inventoryKind: string | null
  inventory: Buffer | null
  /** JSON of the columns of `enrollments` that the inventory tells. */
  facts: string | null
  /** What of the message could not be read. */
  problem: string | null
}

/** What came of it. No row for a request means: this certificate does not act for this enrollment. */
export interface PollOutcome {
  n: number
  next_uuid: string | null
  next_body: Buffer | null
  /** What it is; null where nothing is next. */
  next: {
    type: string
    /** What it means beyond itself. */
    purpose: string | null
    /** What of it the device may turn out to be unsuited for (protocol/mdm/schema). */
    parts: unknown
    /** What decides whether it suits the device, as it was known before this poll; null where nobody asks. */
    suits:
      | (Pick<EnrollmentsTable, 'type' | 'product_name' | 'os_version' | 'supervised' | 'way'> & {
          is_over: boolean
        })
      | null
  } | null
  serial_number: string | null
  /** The event that was written of the command that this ended, and what it was for; null when it ended none. */
  told_type: 'command.acknowledged' | 'command.failed' | null
  told_data: Record<string, unknown> | null
  finished_purpose: string | null
  /** The certificate is not known as the one that the enrollment uses. */
  is_new_voice: boolean
  pushed_at: Date | null
}

/** How often a command goes out to which nothing comes back that can be read. */
const MOST_SENDS = 3
/** In place of Apple's domain of an error, of one that the server says. */
export const SERVER_DOMAIN = 'Firstboot'
/** The error chain of such a one. */
const NO_ANSWER = JSON.stringify([
  {
    ErrorDomain: SERVER_DOMAIN,
    USEnglishDescription: `The command went out ${MOST_SENDS} times, and no answer to it could be read.`,
  },
])

/** Who asks, what is first in its queue, and whether a command of it has gone out often enough. */
const caller = (input: string, at: string) => `input as materialized (
  ${input}
), caller as materialized (
  select i.*, c.use <> 'current' as is_new_voice, e.serial_number, p.command_uuid as first_uuid,
    case when p.sends >= ${MOST_SENDS} then p.command_uuid end as unanswered,
    case when e.parent_id is null then e.unregistered_at is not null
      else exists (select from enrollments d where d.id = e.parent_id and d.unregistered_at is not null) end as was_gone
  from input i
  ${CALLER} and e.unenrolled_at is null
  left join lateral (
    select p.command_uuid, p.sends from pending_deliveries p
    where p.enrollment_id = i.id and p.command_uuid is distinct from i.uuid
      and (i.status = 'Idle' or (p.state <> 'not_now' and p.sends < ${MOST_SENDS}))
      and (p.not_before is null or p.not_before <= ${at})
      and (p.expires_at is null or p.expires_at > ${at})
    order by p.priority desc, p.seq limit 1
  ) p on true
)`

/** Commands whose acknowledgement changes what is known of a device, whoever has sent them. */
export const TELLING_ACTS: readonly string[] = [
  'EnableLostMode',
  'DisableLostMode',
  'DeviceLocation',
  'ActivationLockBypassCode',
]

/** For whom the end of a command is, told by its purpose, its type and the kind of inventory that came (`CommandAnswersTable`). */
const TOPIC = `case when purpose in ('delivery', 'act') then purpose
  when purpose = 'unenroll' and status = 'Acknowledged' then 'act'
  when request_type in (${TELLING_ACTS.map((type) => `'${type}'`).join(', ')}) then 'act'
  when kind is not null and status = 'Acknowledged' then 'inventory' end`

/** The command that the answer of a device ends, or the want of an answer, and all that is kept of that. */
const answer = (at: string) => `finished as (
  delete from pending_deliveries p using caller c
  where p.enrollment_id = c.id and p.command_uuid = coalesce(c.unanswered, c.uuid)
    and (c.unanswered is not null or c.status in ('Acknowledged', 'Error', 'CommandFormatError'))
  returning c.n, case when c.unanswered is null then c.status else 'Error' end as status,
    case when c.unanswered is null then c.chain else '${NO_ANSWER}' end as chain, c.problem, c.raw, c.kind, c.inventory, c.facts, c.serial_number, p.enrollment_id,
    p.command_uuid, p.not_now_count, p.created_at, p.sent_at
), done as materialized (
  select f.*, m.request_type, m.purpose,
    case f.status when 'Acknowledged' then 'command.acknowledged' else 'command.failed' end as told_type,
    jsonb_strip_nulls(jsonb_build_object('command_uuid', f.command_uuid, 'request_type', m.request_type,
      'status', f.status, 'error_chain', f.chain::jsonb, 'unreadable', f.problem)) as told_data
  from finished f left join commands m on m.uuid = f.command_uuid
), history as (
  insert into delivery_history
    (enrollment_id, command_uuid, state, error_chain, result, result_problem, not_now_count, created_at, sent_at,
      finished_at)
  select enrollment_id, command_uuid,
    case status when 'Acknowledged' then 'acknowledged' when 'Error' then 'error' else 'format_error' end,
    chain::jsonb, raw, problem, not_now_count, created_at, sent_at, ${at}
  from finished
), told as (
  insert into event_outbox (type, at, enrollment_id, serial_number, data)
  select told_type, ${at}, enrollment_id, serial_number, told_data from done
), awaited as (
  insert into command_answers (topic, enrollment_id, command_uuid, kind, state, at)
  select ${TOPIC}, enrollment_id, command_uuid, kind,
    case status when 'Acknowledged' then 'acknowledged' when 'Error' then 'error' else 'format_error' end, ${at}
  from done where ${TOPIC} is not null
), kept as (
  insert into device_inventory (enrollment_id, kind, received_at, data)
  select enrollment_id, kind, ${at}, inventory from finished
  where kind is not null and status = 'Acknowledged'
  on conflict (enrollment_id, kind) do update set received_at = excluded.received_at, data = excluded.data
), ended as (
  update enrollment_certificates c set state = 'ended' from done d
  where d.purpose = 'unenroll' and d.status = 'Acknowledged' and c.enrollment_id = d.enrollment_id
    and c.state = 'active'
)`

/** What goes out next, and what that and a NotNow change in the queue. */
const queue = (at: string) => `next as materialized (
  select c.n, c.id, c.serial_number, c.is_new_voice, c.status, c.uuid, case
    when c.unanswered is null then c.first_uuid
    else (
      select p.command_uuid from pending_deliveries p
      where p.enrollment_id = c.id and p.sends < ${MOST_SENDS}
        and (p.not_before is null or p.not_before <= ${at})
        and (p.expires_at is null or p.expires_at > ${at})
      order by p.priority desc, p.seq limit 1)
    end as next_uuid
  from caller c
), touched as materialized (
  select id, next_uuid as uuid, 'sent' as state from next where next_uuid is not null
  union all
  select id, uuid, 'not_now' from next where status = 'NotNow'
  union all
  select x.id, p.command_uuid, 'queued' from next x join pending_deliveries p on p.enrollment_id = x.id
  where x.status = 'Idle' and p.state = 'not_now' and p.command_uuid is distinct from x.next_uuid
), marked as (
  update pending_deliveries p set
    state = t.state,
    sent_at = case t.state when 'sent' then ${at} else p.sent_at end,
    sends = case t.state when 'sent' then p.sends + 1 when 'not_now' then 0 else p.sends end,
    is_unheard = p.is_unheard or (t.state = 'sent' and p.sends > 0),
    not_now_count = p.not_now_count + case t.state when 'not_now' then 1 else 0 end,
    push_count = case t.state when 'not_now' then 0 else p.push_count end,
    push_at = case t.state
      when 'sent' then ${at} + ${AFTER_SENT}
      when 'not_now' then ${at} + ${afterNotNow('p.not_now_count')}
      else p.push_at end
  from touched t
  where p.enrollment_id = t.id and p.command_uuid = t.uuid
)`

/** What a poll tells of the device itself: that it is there, and what it said of itself. */
const device = (at: string) => `need as materialized (
  select c.n, k.enrollment_id, k.pushed_at, k.xmin as version
  from push_needs k join caller c on k.enrollment_id = c.id
), untouched as materialized (
  select k.enrollment_id, k.xmin as version from push_needs k join need d on k.enrollment_id = d.enrollment_id
  for update of k skip locked
), heard as (
  delete from push_needs k using need d join untouched u
    on u.enrollment_id = d.enrollment_id and u.version = d.version
  where k.enrollment_id = d.enrollment_id
  returning d.n, d.pushed_at
), telling as materialized (
  select * from done
  where status = 'Acknowledged' and (facts is not null or purpose = 'unenroll' or request_type = 'EraseDevice')
), changed as (
  update enrollments e set
    device_name = coalesce(d.facts ->> 'deviceName', e.device_name),
    os_version = coalesce(d.facts ->> 'osVersion', e.os_version),
    build_version = coalesce(d.facts ->> 'buildVersion', e.build_version),
    product_name = coalesce(d.facts ->> 'productName', e.product_name),
    model_name = coalesce(d.facts ->> 'modelName', e.model_name),
    model = coalesce(d.facts ->> 'model', e.model),
    imei = coalesce(d.facts ->> 'imei', e.imei),
    meid = coalesce(d.facts ->> 'meid', e.meid),
    serial_number = coalesce(e.serial_number, d.facts ->> 'serialNumber'),
    supervised = coalesce((d.facts ->> 'isSupervised')::boolean, e.supervised),
    unenrolled_at = case when d.ends then ${at} else e.unenrolled_at end,
    unenroll_reason = case when d.ends then 'profile_removed' else e.unenroll_reason end,
    erased_at = case when d.erases then ${at} else e.erased_at end,
    unregistered_at = null, last_seen_at = ${at},
    updated_at = case when d.tells then ${at} else e.updated_at end,
    version = e.version + case when d.tells then 1 else 0 end
  from (
    select enrollment_id, facts::jsonb as facts, purpose = 'unenroll' as ends, request_type = 'EraseDevice' as erases,
      true as tells
    from telling
    union all
    select h.id, null, false, false, false
    from (
      select device as id from caller where was_gone
      union all
      select d.enrollment_id from need d where not exists (select from heard h where h.n = d.n)
    ) h
    where not exists (select from telling t where t.enrollment_id = h.id)
  ) d
  where e.id = d.enrollment_id
)`

/**
 * A command that went out often enough ends when an Idle would have it sent again: the device has no answer to it.
 *
 * The need of a push is met by the poll, unless it was asked for anew since the poll looked at the queue (its row has
 * another version then, or is locked): such a need must stay, or a command would wait for the next re-push. Who is heard of
 * is not gone, also when Apple's answer to a push of before is being written down at this moment (`changed`).
 */
const poll = batchStatement<Poll, PollOutcome, 'at'>({
  name: 'poll',
  columns: {
    id: ['text', ({ enrollmentId }) => enrollmentId],
    device: ['text', ({ deviceId }) => deviceId],
    fingerprint: ['bytea', ({ fingerprint }) => fingerprint],
    status: ['text', ({ status }) => status],
    uuid: ['text', ({ commandUuid }) => commandUuid],
    chain: ['text', ({ errorChain }) => errorChain],
    raw: ['bytea', ({ raw }) => raw],
    kind: ['text', ({ inventoryKind }) => inventoryKind],
    inventory: ['bytea', ({ inventory }) => inventory],
    facts: ['text', ({ facts }) => facts],
    problem: ['text', ({ problem }) => problem],
  },
  given: { at: 'timestamptz' },
  text: (input, { at }) => `
with ${[caller(input, at), answer(at), queue(at), device(at)].join(', ')}
select x.n, x.serial_number, x.is_new_voice, x.next_uuid, m.body as next_body, case when m.uuid is not null then (
    select json_build_object('type', m.request_type, 'purpose', m.purpose, 'parts', m.parts,
      'suits', case when not m.forced then json_build_object('type', e.type,
        'product_name', coalesce(u.product_name, e.product_name), 'os_version', coalesce(u.os_version, e.os_version),
        'supervised', coalesce(u.supervised, e.supervised), 'way', coalesce(u.way, e.way), 'is_over', false) end)
    from enrollments e left join enrollments u on u.id = e.parent_id where e.id = x.id) end as next,
  d.told_type, d.told_data, d.purpose as finished_purpose, h.pushed_at
from next x
left join commands m on m.uuid = x.next_uuid
left join done d on d.n = x.n
left join heard h on h.n = x.n`,
})

/** Runs one poll that carries much, by itself; see `runPolls`. */
export async function runLargePoll(db: Db, large: Poll, at: Date): Promise<PollOutcome | undefined> {
  const [outcome] = await poll.alone(db, large, { at })
  return outcome
}

/** Runs a batch of polls, at most one per enrollment; outcomes by position, undefined where the caller may not. */
export async function runPolls(
  db: Db,
  polls: readonly Poll[],
  at: Date,
): Promise<(PollOutcome | undefined)[]> {
  return byPlace(await poll.run(db, polls, { at }), polls.length)
}

/** Whether a command is still to be answered by an enrollment. */
export async function isPending(db: Db, enrollmentId: string, commandUuid: string): Promise<boolean> {
  const rows = await db.prepared(
    'is_pending',
    'select 1 from pending_deliveries where enrollment_id = $1 and command_uuid = $2',
    [enrollmentId, commandUuid],
  )
  return rows.length > 0
}

/** Ends the command that went out last to a device or its users, if it went out often enough; see `MOST_SENDS`. */
const END_UNREADABLE = `
with last as materialized (
  select p.enrollment_id, p.command_uuid, e.serial_number
  from enrollments e join pending_deliveries p on p.enrollment_id = e.id
  where (e.id = $1 or e.parent_id = $1) and e.unenrolled_at is null and p.state = 'sent'
  order by p.sent_at desc, p.seq desc limit 1
), finished as (
  delete from pending_deliveries p using last l
  where p.enrollment_id = l.enrollment_id and p.command_uuid = l.command_uuid
    and p.state = 'sent' and p.sends >= ${MOST_SENDS}
  returning p.*, l.serial_number
), history as (
  insert into delivery_history (enrollment_id, command_uuid, state, error_chain, result, result_problem, not_now_count,
    created_at, sent_at, finished_at)
  select enrollment_id, command_uuid, 'error', '${NO_ANSWER}'::jsonb, $2::bytea, $3::text, not_now_count, created_at,
    sent_at, $4::timestamptz
  from finished
), done as materialized (
  select f.enrollment_id, f.serial_number, f.command_uuid, m.purpose, 'command.failed' as told_type,
    jsonb_strip_nulls(jsonb_build_object('command_uuid', f.command_uuid, 'request_type', m.request_type,
      'status', 'Error', 'error_chain', '${NO_ANSWER}'::jsonb, 'unreadable', $3::text)) as told_data
  from finished f left join commands m on m.uuid = f.command_uuid
), told as (
  insert into event_outbox (type, at, enrollment_id, serial_number, data)
  select told_type, $4::timestamptz, enrollment_id, serial_number, told_data from done
), awaited as (
  insert into command_answers (topic, enrollment_id, command_uuid, state, at)
  select purpose, enrollment_id, command_uuid, 'error', $4::timestamptz from done where purpose in ('delivery', 'act')
)
select * from done`

/** The device whose command has ended, and what was told of that. */
interface EndedUnreadable {
  enrollment_id: string
  serial_number: string | null
  told_type: 'command.failed'
  told_data: Record<string, unknown>
}

/**
 * Notes that a device has sent what cannot be read at all: `raw` (packed) is kept with the command that this ends, of which is
 * given what was told; undefined when the command will go out again.
 */
export async function endUnreadable(
  db: Db,
  deviceId: string,
  unreadable: { raw: Buffer; problem: string },
  at: Date,
): Promise<EndedUnreadable | undefined> {
  const { raw, problem } = unreadable
  const rows = await db.prepared<EndedUnreadable>('end_unreadable', END_UNREADABLE, [
    deviceId,
    raw,
    problem,
    at,
  ])
  return rows[0]
}
