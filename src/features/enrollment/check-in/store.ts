import { sql } from 'kysely'
import { withoutNul, type Db, type Tx } from '../../../db/index.ts'
import type { Attempt } from '../../attempts/index.ts'
import type { Binding } from '../../device-identity/index.ts'
import { MOST_MESSAGE_BYTES, rowIds, type Enrollment } from '../../devices/index.ts'
import { takingUse } from '../../../db/statements/link-use.ts'

/**
 * The statements by which devices come in. Like that of the poll they name the tables of other features: a check-in
 * must cost one or two round trips, whoever's rows it touches, and hold its locks for no longer.
 */

// TokenUpdate

/** A TokenUpdate, ready for the statement. */
export interface TokenWrite {
  /** The channel that speaks, and the device channel to which its certificate is bound. */
  enrollmentId: string
  deviceId: string
  type: Enrollment['type']
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
  /** Of the DeviceInformation that a device is sent when this is its first. */
  commandUuid: string
}

/** What the first TokenUpdate of a device brings: its plist around the CommandUUID, and when things are due. */
export interface FirstSteps {
  plist: { head: Buffer; tail: Buffer }
  secondPushSeconds: number
  /** How long it waits in Setup Assistant at most, where its policy does not say. */
  deadlineMinutes: number
}

/** What came of it. No row for a request means: this certificate does not act for this channel with this topic. */
export interface TokenOutcome {
  n: number
  type: Enrollment['type']
  serial_number: string | null
  tally: number
  is_device: boolean
  attempt_id: string | null
  /** Of the attempt that this closed. */
  user_name: string | null
  /** The certificate is not known as the one that the enrollment uses. */
  is_new_voice: boolean
}

/**
 * The generation is looked at twice, before and after a wait for the row: a device that says Authenticate at the same
 * moment with another certificate must not be completed with the tokens of before.
 */
const TOKEN_UPDATE = `
with input as materialized (
  select * from unnest($1::int[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bytea[], $7::text[], $8::bytea[],
    $9::boolean[], $10::boolean[], $11::bytea[], $12::text[], $18::text[],
    $19::bytea[])
    as i (n, id, device, fingerprint, topic, token, magic, unlock, awaiting, not_on_console, raw, uuid, type,
      digest)
), caller as materialized (
  select i.*, c.use <> 'current' as is_new_voice, e.generation,
    e.message_digest is distinct from i.digest as is_changed,
    e.messages_since is null or e.messages_since <= $13::timestamptz - interval '1 day' as is_new_day
  from input i
  join enrollment_certificates c
    on c.enrollment_id = i.device and c.fingerprint = i.fingerprint and c.state = 'active'
  join enrollments e on e.id = i.id and (e.id = i.device or e.parent_id = i.device) and e.type = i.type
  order by i.id
), updated as (
  update enrollments e set push_token = i.token, push_magic = i.magic,
    unlock_token = coalesce(i.unlock, e.unlock_token),
    awaiting_configuration = coalesce(i.awaiting, e.awaiting_configuration),
    not_on_console = coalesce(i.not_on_console, e.not_on_console),
    token_update_tally = e.token_update_tally + 1, token_updated_at = $13::timestamptz,
    enrolled_at = coalesce(e.enrolled_at, $13::timestamptz),
    last_seen_at = case when e.token_update_tally = 0 then $13::timestamptz else e.last_seen_at end,
    push_state = 'ok', push_reason = null, unregistered_at = null, erased_at = null, message_digest = i.digest,
    message_repeats = case when i.is_changed then 0 else e.message_repeats + 1 end,
    messages_since = case when i.is_new_day then $13::timestamptz else e.messages_since end,
    message_bytes = least(case when i.is_new_day then 0 else e.message_bytes end
      + case when i.is_changed then length(i.raw) else 0 end, ${MOST_MESSAGE_BYTES} + 1),
    updated_at = $13::timestamptz, version = e.version + 1
  from caller i
  where e.id = i.id and e.generation = i.generation and e.unenrolled_at is null and e.topic = i.topic
  returning i.n, e.id, e.type, e.serial_number, e.attempt_id, e.policy_id, e.token_update_tally as tally,
    e.parent_id, e.parent_id is null as is_device, e.way, i.awaiting, i.raw, i.uuid,
    i.is_new_voice, i.is_changed and e.message_bytes <= ${MOST_MESSAGE_BYTES} as is_news
), alive as (
  update enrollments e set unregistered_at = null
  from updated u where e.id = u.parent_id and e.unregistered_at is not null
), message as (
  insert into checkin_messages (enrollment_id, message_type, received_at, raw)
  select id, 'TokenUpdate', $13::timestamptz, raw from updated where is_news
), enrolled as materialized (
  select * from updated where is_device and tally = 1
), closed as (
  update enrollment_attempts a
  set outcome = 'enrolled', reason = null, closed_at = $13::timestamptz, updated_at = $13::timestamptz
  from enrolled e where a.id = e.attempt_id and a.outcome in ('in_progress', 'expired')
  returning e.n, a.user_name
), passed as (
  insert into enrollment_attempt_steps (attempt_id, at, step, outcome)
  select attempt_id, $13::timestamptz, 'token_update', 'passed' from enrolled e
  where exists (select from enrollment_attempts a where a.id = e.attempt_id)
), asked as (
  insert into commands (uuid, request_type, purpose, body, target_ids, created_at)
  select uuid, 'DeviceInformation', 'inventory', $14::bytea || convert_to(uuid, 'UTF8') || $15::bytea, array[id],
    $13::timestamptz
  from enrolled
), queued as (
  insert into pending_deliveries (enrollment_id, command_uuid, priority, push_at, created_at)
  select id, uuid, 0, $13::timestamptz + $16::integer * interval '1 second', $13::timestamptz from enrolled
), owed as (
  insert into setup_releases (enrollment_id, deadline, command_uuids, created_at)
  select e.id, $13::timestamptz
      + coalesce((p.ade ->> 'configuration_deadline_minutes')::integer, $17::integer) * interval '1 minute',
    array[e.uuid], $13::timestamptz
  from enrolled e left join enrollment_policies p on p.id = e.policy_id
  where e.awaiting
  on conflict (enrollment_id) do update set deadline = excluded.deadline, command_uuids = excluded.command_uuids,
    created_at = excluded.created_at, configured_uuid = null, reason = null, tries = 0, retry_at = null,
    released_at = null
), noted as (
  update ade_devices d set enrolled_at = $13::timestamptz
  from (
    select serial_number from enrolled where serial_number is not null and way in ('ade', 'ade_web')
    order by serial_number
  ) e
  where d.serial_number = e.serial_number
), told as (
  insert into event_outbox (type, at, enrollment_id, serial_number, user_name, attempt_id, data)
  select type, $13::timestamptz, id, serial_number, user_name, attempt_id, data
  from (
    select n, 1 as place, 'device.token_updated' as type, id, serial_number, null as user_name, null as attempt_id,
      jsonb_build_object('tally', tally)
        || case tally when 1 then jsonb_build_object('type', type) else '{}' end as data
    from updated where is_news and not (is_device and tally = 1)
    union all
    select n, 1, 'command.queued', id, null, null, null,
      jsonb_build_object('command_uuid', uuid, 'request_type', 'DeviceInformation', 'devices', 1)
    from enrolled
    union all
    select e.n, 2, 'device.enrolled', e.id, e.serial_number, c.user_name, e.attempt_id, jsonb_build_object(
      'tally', e.tally, 'type', e.type, 'awaiting_configuration', coalesce(e.awaiting, false))
    from enrolled e left join closed c on c.n = e.n
  ) t
  order by n, place
), woken as (
  insert into push_needs (enrollment_id, due_at, created_at)
  select u.id, $13::timestamptz, $13::timestamptz from updated u
  where (u.is_device and u.tally = 1)
    or exists (select 1 from pending_deliveries p where p.enrollment_id = u.id)
  on conflict (enrollment_id) do update set due_at = excluded.due_at, attempts = 0, pushed_at = null,
    claimed_until = null
)
select u.n, u.type, u.serial_number, u.tally, u.is_device, u.attempt_id, u.is_new_voice, c.user_name
from updated u left join closed c on c.n = u.n`

/** Runs a batch of TokenUpdates, at most one per channel; outcomes by position. */
export async function writeTokens(
  db: Db,
  writes: readonly TokenWrite[],
  first: FirstSteps,
  at: Date,
): Promise<(TokenOutcome | undefined)[]> {
  const rows = await db.prepared<TokenOutcome>('token_update', TOKEN_UPDATE, [
    writes.map((_, n) => n),
    writes.map((write) => write.enrollmentId),
    writes.map((write) => write.deviceId),
    writes.map((write) => write.fingerprint),
    writes.map((write) => write.topic),
    writes.map((write) => write.pushToken),
    writes.map((write) => write.pushMagic),
    writes.map((write) => write.unlockToken),
    writes.map((write) => write.awaitingConfiguration),
    writes.map((write) => write.notOnConsole),
    writes.map((write) => write.raw),
    writes.map((write) => write.commandUuid),
    ...[at, first.plist.head, first.plist.tail, first.secondPushSeconds, first.deadlineMinutes],
    writes.map((write) => write.type),
    writes.map((write) => write.digest),
  ])
  const outcomes = Array.from<TokenOutcome | undefined>({ length: writes.length })
  for (const row of rows) outcomes[row.n] = row
  return outcomes
}

// Authenticate

/** What a device says of itself when it comes in. */
interface Introduction {
  /** UDID or EnrollmentID. */
  deviceId: string
  /** The serial number that it gives, if it gives one. */
  serials: readonly string[]
  topic: string
}

/** By what a device comes in: the attempt of its certificate, locked, and what decides about it. */
export interface Arrival {
  attempt: Attempt
  /** Devices of this id, in either space, that are or were here. */
  namesakes: Pick<Enrollment, 'id' | 'type'>[]
  /** Whether enrollments of the serial number under another UDID are to end. */
  isMoved: boolean
  /** What Apple has assigned to us, of the serial number that it gives, or that its UDID had at power-on before. */
  assigned: { serial_number: string; blocked_at: string | null } | null
  /** Which enrollments the certificate is or was. */
  bindings: Binding[]
  /** Whether there is a push certificate of the topic. */
  knowsTopic: boolean
  /** The static groups that policy and link name. */
  groupIds: string[]
}

/** Locks the attempt for which a certificate was issued; undefined when there is none. */
export async function lockArrival(
  trx: Tx,
  fingerprint: Buffer,
  { deviceId, serials, topic }: Introduction,
): Promise<Arrival | undefined> {
  type Row = Attempt & {
    bindings: Binding[]
    knows_topic: boolean
    group_ids: string[]
    namesakes: Arrival['namesakes']
    is_moved: boolean
    assigned: Arrival['assigned']
  }
  const ids = rowIds(deviceId).map((id) => id.toLowerCase())
  const { rows } = await sql<Row>`
    select a.*,
      coalesce((
        select jsonb_agg(jsonb_build_object('enrollment_id', c.enrollment_id, 'state', c.state, 'use', c.use))
        from enrollment_certificates c where c.fingerprint = i.fingerprint
      ), '[]') as bindings,
      exists (select 1 from push_certificates p where p.topic = ${withoutNul(topic)}::text) as knows_topic,
      array_remove(array[
        (select p.group_id from enrollment_policies p where p.id = a.policy_id),
        (select l.group_id from enrollment_links l where l.id = a.link_id)
      ], null) as group_ids,
      coalesce((
        select jsonb_agg(jsonb_build_object('id', e.id, 'type', e.type))
        from enrollments e where lower(e.id) = any(${ids}::text[]) and e.parent_id is null
      ), '[]') as namesakes,
      a.way in ('ade', 'ade_web') and exists (
        select 1 from enrollments e
        where e.serial_number = a.serial_number and e.superseded_at is not null and e.unenrolled_at is null
      ) as is_moved,
      (
        select jsonb_build_object('serial_number', d.serial_number, 'blocked_at', d.blocked_at) from ade_devices d
        where d.serial_number = any(${serials}::text[] || a.serial_number || array(
            select e.serial_number from enrollments e
            where lower(e.id) = any(${ids}::text[]) and e.way in ('ade', 'ade_web') and e.parent_id is null))
          and d.released_at is null and d.removed_at is null
        order by d.blocked_at limit 1
      ) as assigned
    from issued_certificates i join enrollment_attempts a on a.id = i.attempt_id
    where i.fingerprint = ${fingerprint}::bytea
    for update of a`.execute(trx)
  const [row] = rows
  if (row === undefined) return undefined
  const { bindings, knows_topic, group_ids, namesakes, is_moved, assigned, ...attempt } = row
  return {
    ...{ attempt, bindings, namesakes, assigned },
    ...{ knowsTopic: knows_topic, groupIds: group_ids, isMoved: is_moved },
  }
}

/** What is written when a device was let in. */
interface Admitted {
  /** The row of a device that was never here; `knownId` instead for one whose row and certificate are in order. */
  added?: Pick<Enrollment, 'id' | 'type' | 'created_at' | 'updated_at'> & Partial<Enrollment>
  knownId?: string
  fingerprint: Buffer
  /** The link of which a use is taken; null for none. */
  linkId: string | null
  messageType: string
  /** The message, sealed. */
  raw: Buffer
  attempt: { id: string; deadline: Date; udid: string | null; serial_number: string | null }
  steps: readonly { step: string; detail?: Record<string, unknown> }[]
  event: {
    type: string
    serial_number: string | null
    user_name: string | null
    data: Record<string, unknown>
  }
}

/**
 * Writes down that a device was let in: `written`; or nothing, when its row is there already (`known`), or, with the
 * link's use not taken either, when the link has none left at this moment (`no_use`). The link's row is locked here and
 * until the commit, and all who enrol by it wait for that.
 */
export async function writeAdmitted(
  trx: Tx,
  given: Admitted,
  at: Date,
): Promise<'written' | 'known' | 'no_use'> {
  const { fingerprint, linkId, raw, ...rest } = given
  const { added, knownId, messageType, attempt, steps, event } = withoutNul(rest)
  const used =
    linkId === null ? sql`select ${linkId}::text as id` : sql`${takingUse(linkId, at)} returning id`
  const row = Object.entries(added ?? {})
  const arrived =
    knownId === undefined
      ? sql`arrived as (
          insert into enrollments (${sql.join(row.map(([name]) => sql.ref(name)))})
          select ${sql.join(row.map(([, value]) => sql.val(value)))} from used
          on conflict do nothing returning id
        ), bound as (
          insert into enrollment_certificates (enrollment_id, fingerprint, state, renewal, bound_at)
          select id, ${fingerprint}::bytea, 'active', false, ${at}::timestamptz from arrived
          on conflict (enrollment_id, fingerprint) do update set state = excluded.state,
            renewal = excluded.renewal, bound_at = excluded.bound_at
        )`
      : sql`arrived as materialized (select ${knownId}::text as id from used)`
  const { rows } = await sql<{ is_used: boolean; is_written: boolean }>`
    with used as (${used}), ${arrived}, message as (
      insert into checkin_messages (enrollment_id, message_type, received_at, raw)
      select id, ${messageType}, ${at}::timestamptz, ${raw}::bytea from arrived
    ), noted as (
      update enrollment_attempts a set enrollment_id = r.id, deadline = ${attempt.deadline}::timestamptz,
        udid = coalesce(a.udid, ${attempt.udid}::text),
        serial_number = coalesce(a.serial_number, ${attempt.serial_number}::text),
        updated_at = ${at}::timestamptz
      from arrived r where a.id = ${attempt.id}
    ), passed as (
      insert into enrollment_attempt_steps (attempt_id, at, step, outcome, detail)
      select ${attempt.id}, ${at}::timestamptz, s.step, 'passed', s.detail::jsonb
      from arrived, unnest(
        ${steps.map(({ step }) => step)}::text[],
        ${steps.map(({ detail = {} }) => JSON.stringify(detail))}::text[]
      ) with ordinality as s (step, detail, place)
      order by s.place
    ), told as (
      insert into event_outbox (type, at, enrollment_id, serial_number, user_name, attempt_id, data)
      select ${event.type}, ${at}::timestamptz, id, ${event.serial_number}, ${event.user_name}, ${attempt.id},
        ${JSON.stringify(event.data)}::jsonb
      from arrived
    )
    select exists (select 1 from used) as is_used, exists (select 1 from arrived) as is_written`.execute(trx)
  const [done] = rows
  if (done?.is_written) return 'written'
  return done?.is_used ? 'known' : 'no_use'
}
