import { sql, type Selectable } from 'kysely'
import type { Tx } from '../transaction.ts'
import type { AttemptRow } from '../tables/attempts.ts'
import type { DeviceIdentityTables } from '../tables/device-identity.ts'
import type { EnrollmentsTable } from '../tables/devices.ts'
import { withoutNul } from '../values.ts'
import { takingUse } from './link-use.ts'

/**
 * The statements of Authenticate: it must cost two round trips, whoever's rows it touches, and hold its locks for no longer.
 */

type Certificate = Pick<
  Selectable<DeviceIdentityTables['enrollment_certificates']>,
  'enrollment_id' | 'state' | 'use'
>

/** What a device says of itself when it comes in. */
interface Introduction {
  /** The ids that its row may have. */
  rowIds: readonly string[]
  /** The serial number that it gives, if it gives one. */
  serials: readonly string[]
  topic: string
}

/** By what a device comes in: the attempt of its certificate, locked, and what decides about it. */
export interface Arrival {
  attempt: AttemptRow
  /** Devices of this id, in either space, that are or were here. */
  namesakes: Pick<Selectable<EnrollmentsTable>, 'id' | 'type'>[]
  /** Whether enrollments of the serial number under another UDID are to end. */
  isMoved: boolean
  /** What Apple has assigned to us, of the serial number that it gives, or that its UDID had at power-on before. */
  assigned: { serial_number: string; blocked_at: string | null } | null
  /** Which enrollments the certificate is or was. */
  bindings: Certificate[]
  /** Whether there is a push certificate of the topic. */
  knowsTopic: boolean
  /** The static groups that policy and link name. */
  groupIds: string[]
}

/** Locks the attempt for which a certificate was issued; undefined when there is none. */
export async function lockArrival(
  trx: Tx,
  fingerprint: Buffer,
  { rowIds, serials, topic }: Introduction,
): Promise<Arrival | undefined> {
  type Row = AttemptRow & {
    bindings: Certificate[]
    knows_topic: boolean
    group_ids: string[]
    namesakes: Arrival['namesakes']
    is_moved: boolean
    assigned: Arrival['assigned']
  }
  const ids = rowIds.map((id) => id.toLowerCase())
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
    attempt,
    bindings,
    namesakes,
    assigned,
    knowsTopic: knows_topic,
    groupIds: group_ids,
    isMoved: is_moved,
  }
}

/** What is written when a device was let in. */
interface Admitted {
  /** The row of a device that was never here; `knownId` instead for one whose row and certificate are in order. */
  added?: Pick<Selectable<EnrollmentsTable>, 'id' | 'type' | 'created_at' | 'updated_at'> &
    Partial<Selectable<EnrollmentsTable>>
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
