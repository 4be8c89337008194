import type { Selectable } from 'kysely'
import { addTime } from '../../kernel/clock.ts'
import type { Db } from '../database.ts'
import type { AttemptRow } from '../tables/attempts.ts'
import type { DeviceIdentityTables } from '../tables/device-identity.ts'
import type { EnrollmentPoliciesTable } from '../tables/enrollment-policies.ts'
import { jsonText } from '../values.ts'

/** Visits at power-on written in one statement. */
export const VISITS_AT_ONCE = 32

/** Devices looked up in one statement. */
export const LOOK_UPS_AT_ONCE = 64

/**
 * What is read and written of devices at power-on, for a whole batch of them. The statements name tables of several slices, as
 * what a contact costs is mostly their number.
 */

/** The same words again within this time are the same contact. */
const RECENT_MINUTES = 60
/** Unused challenges of one attempt; a further one takes the place of the oldest. */
const MAX_UNUSED = 50

/** What is asked: the key of the address, the serial number that the device gave, and the hash of what it signed. */
export interface Question {
  key: string
  serial: string
  machineInfoHash?: string
}

/** What decides whether a serial number may enrol at an address. */
export interface Assignment {
  ade_server_id: string | null
  policy_id: string | null
  blocked_at: Date | null
  released_at: Date | null
  removed_at: Date | null
}

/** The attempt that is in progress; `version` is another after each change of its row. */
type OpenAttempt = Pick<
  AttemptRow,
  'id' | 'way' | 'serial_number' | 'udid' | 'user_id' | 'user_name' | 'policy_id' | 'enrollment_id'
> & { has_profile: boolean; has_certificate: boolean; version: string }

/** The newest attempt with the same signed words within the last hour, and what came of it last. */
type RecentAttempt = Pick<AttemptRow, 'id' | 'outcome' | 'reason'> & {
  step: string
  step_outcome: 'passed' | 'refused'
}

/** What was found. */
interface Found {
  n: number
  /** Of the address; null when it is not ours. */
  address_policy_id: string | null
  address_server_id: string | null
  /** As it was stored, once of each policy. */
  policy: Omit<Selectable<EnrollmentPoliciesTable>, 'created_at' | 'updated_at'> | null
  is_known: boolean
  open: OpenAttempt | null
  recent: RecentAttempt | null
  is_replayed: boolean
  topic: string | null
}

const LOOK_UP = `
select q.n, k.policy_id as address_policy_id, k.ade_server_id as address_server_id,
  case when row_number() over (partition by k.policy_id order by q.n) = 1 then (
    select to_jsonb(p) - 'created_at' - 'updated_at' from enrollment_policies p where p.id = k.policy_id
  ) end as policy,
  d.serial_number is not null as is_known, d.ade_server_id, d.policy_id, d.blocked_at, d.released_at, d.removed_at,
  (select to_json(o) from (
    select a.id, a.way, a.serial_number, a.udid, a.user_id, a.user_name, a.policy_id, a.enrollment_id,
      a.xmin::text as version, coalesce(s.has_profile, false) as has_profile,
      coalesce(s.has_certificate, false) as has_certificate
    from enrollment_attempts a cross join lateral (
      select bool_or(step = 'profile') as has_profile, bool_or(step = 'certificate') as has_certificate
      from enrollment_attempt_steps s where s.attempt_id = a.id and s.outcome = 'passed'
    ) s
    where a.serial_number = q.serial and a.outcome = 'in_progress' and a.way in ('ade', 'ade_web')
  ) o) as open,
  (select to_json(r) from (
    select a.id, a.outcome, l.step, l.outcome as step_outcome, l.reason
    from enrollment_attempt_steps s join enrollment_attempts a on a.id = s.attempt_id cross join lateral (
      select step, outcome, reason from enrollment_attempt_steps where attempt_id = s.attempt_id order by id desc limit 1
    ) l
    where s.machine_info_hash = q.hash and s.at > $3
    order by s.at desc, s.attempt_id desc limit 1
  ) r) as recent,
  exists (
    select from enrollment_attempt_steps s join enrollment_attempts a on a.id = s.attempt_id
    join enrollments e on e.id = a.enrollment_id and e.attempt_id = a.id
    where s.machine_info_hash = q.hash and e.unenrolled_at is null
  ) as is_replayed,
  (select topic from push_certificates where in_use and not_after > $2) as topic
from (
  select n, key, serial, decode(hash, 'hex') as hash
  from json_to_recordset($1::json) as q (n int, key text, serial text, hash text)
) q
left join ade_profiles k on k.key = q.key
left join ade_devices d on d.serial_number = q.serial`

/** Looks devices up; what is found of each, by position. */
export async function lookUp(
  db: Db,
  questions: readonly Question[],
  at: Date,
): Promise<(Found & Assignment)[]> {
  const asked = questions.map(({ key, serial, machineInfoHash: hash }, n) => ({ n, key, serial, hash }))
  const since = addTime(at, -RECENT_MINUTES, 'minute')
  const rows = await db.prepared<Found & Assignment>('power_on_look_up', LOOK_UP, [
    jsonText(asked),
    at,
    since,
  ])
  return rows.toSorted((a, b) => a.n - b.n)
}

/** An attempt as it is to be after a contact, the steps and events that this adds, and what was seen of it before. */
interface Plan {
  id: string
  serial: string
  seen?: { id: string; version: string }
  opened?: object
  joined?: object
  abandoned?: string
  repeats?: string
  steps: readonly object[]
  events: readonly object[]
}

/** What a contact comes to. */
export interface Writing {
  plan: Plan
  /** Whether the device has come to enrol with the profile that Apple has for it. */
  isOurs: boolean
  /** The UDID under which the serial number is enrolled from now on, if at all. */
  provenUdid?: string | undefined
  /** Of a device that gets a profile. */
  challenge?: Omit<
    Selectable<DeviceIdentityTables['scep_challenges']>,
    'created_at' | 'public_key_hash' | 'certificate' | 'voided_at'
  >
}

/**
 * A contact holds if the attempt that was seen has not changed since, or if there is still none; the unique index on attempts
 * in progress decides between processes. What was given out for an attempt that is abandoned is void. A message that is older
 * than an enrollment, and came again, does not say that the device has another UDID by now.
 */
const WRITE = `
with contact as materialized (
  select * from json_to_recordset($1::json) as c (n int, serial text, id text, seen text, version text, opened json, joined json,
    abandoned text, repeats text, ours text, proven text, steps json, events json, challenge json)
), kept as materialized (
  select c.n from contact c, lateral (
    select from enrollment_attempts a where a.id = c.seen and a.xmin::text = c.version for update
  ) unchanged
), free as materialized (
  select * from contact where seen is null or n in (select n from kept)
), abandoned as (
  update enrollment_attempts a set outcome = 'expired', closed_at = $2, reason = coalesce((
    select case when exists (
      select from enrollment_attempt_steps p
      where p.attempt_id = s.attempt_id and p.id > s.id and p.step = s.step and p.outcome = 'passed'
    ) then null else s.reason end
    from enrollment_attempt_steps s where s.attempt_id = a.id and s.reason is not null order by s.id desc limit 1
  ), 'abandoned'), updated_at = $2
  from free f where a.id = f.abandoned
  returning a.id
), opened as (
  insert into enrollment_attempts (id, way, outcome, reason, serial_number, udid, user_id, user_name, policy_id,
    deadline, closed_at, created_at, updated_at)
  select f.id, way, coalesce(outcome, 'in_progress'), reason, serial_number, udid, user_id, user_name, policy_id,
    deadline, case when outcome is not null then $2 end, $2, $2
  from free f, json_to_record(f.opened) as o (way text, outcome text, reason text, serial_number text, udid text,
    user_id text, user_name text, policy_id text, deadline timestamptz)
  where f.opened is not null and (select count(*) from abandoned) >= 0
  on conflict (serial_number) where outcome = 'in_progress' and way in ('ade', 'ade_web') do nothing
  returning id
), joined as (
  update enrollment_attempts a set deadline = j.deadline, updated_at = $2,
    user_id = coalesce(j.user_id, a.user_id),
    user_name = case when j.user_id is null and a.user_id is not null then a.user_name
      else coalesce(j.user_name, a.user_name) end,
    outcome = coalesce(j.outcome, a.outcome), reason = coalesce(j.reason, a.reason),
    closed_at = case when j.outcome is not null then $2 end
  from free f, json_to_record(f.joined) as j (outcome text, reason text, user_id text, user_name text,
    deadline timestamptz)
  where f.joined is not null and a.id = f.id
  returning a.id
), held as materialized (
  select * from free where repeats is not null or id in (select id from opened union all select id from joined)
), repeated as (
  update enrollment_attempt_steps s
  set detail = s.detail || jsonb_build_object('count', coalesce((s.detail ->> 'count')::int, 1) + 1)
  from held h
  where s.attempt_id = h.repeats and s.id = (select max(id) from enrollment_attempt_steps l where l.attempt_id = h.repeats)
), void as (
  update scep_challenges set voided_at = $2
  where voided_at is null and attempt_id = any(array(select abandoned from held))
), step as (
  insert into enrollment_attempt_steps (attempt_id, at, step, outcome, reason, user_name, machine_info_hash, detail)
  select abandoned, $2, 'contact', 'refused', 'abandoned', null, null, jsonb_build_object('newer_attempt_id', id)
  from held where abandoned is not null
  union all
  select h.id, $2, step, outcome, reason, user_name, decode(machine_info_hash, 'hex'), coalesce(detail, '{}')
  from held h, json_to_recordset(h.steps) as s (step text, outcome text, reason text, user_name text,
    machine_info_hash text, detail jsonb)
), told as (
  insert into event_outbox (type, at, enrollment_id, serial_number, user_name, reason, attempt_id, data)
  select type, $2, enrollment_id, serial_number, user_name, reason, attempt_id, coalesce(data, '{}')
  from held h, json_to_recordset(h.events) as e (type text, enrollment_id text, serial_number text, user_name text,
    reason text, attempt_id text, data jsonb)
), noted as (
  update ade_devices d set contacted_at = $2, running_profile_uuid = d.apple_profile_uuid
  from held h where d.serial_number = h.ours
), superseded as (
  update enrollments e set superseded_at = $2
  from held h where e.serial_number = h.serial and h.proven is not null and lower(e.udid) <> lower(h.proven)
    and e.type = 'device' and e.unenrolled_at is null and e.superseded_at is null
    and not exists (
      select from json_to_recordset(h.steps) as m (machine_info_hash text)
      join enrollment_attempt_steps s on s.machine_info_hash = decode(m.machine_info_hash, 'hex')
      where s.at < e.authenticated_at
    )
), granted as (
  insert into scep_challenges (hash, attempt_id, serial_number, udid, user_id, user_name, expires_at, created_at)
  select hash::bytea, attempt_id, serial_number, udid, user_id, user_name, expires_at, $2
  from held h, json_to_record(h.challenge) as g (hash text, attempt_id text, serial_number text, udid text,
    user_id text, user_name text, expires_at timestamptz)
  where h.challenge is not null
), trimmed as (
  delete from scep_challenges where hash = any(array(
    select c.hash from held h, lateral (
      select hash from scep_challenges where attempt_id = h.id and certificate is null
      order by created_at desc offset ${MAX_UNUSED}
    ) c
    where h.joined is not null and h.challenge is not null
  ))
)
select n from held`

/** Writes contacts, each of another serial number; whether each of them holds, by position. */
export async function writeContacts(db: Db, writings: readonly Writing[], at: Date): Promise<boolean[]> {
  const contacts = writings
    .map(({ plan: { serial, seen, ...plan }, isOurs, provenUdid, challenge }, n) => ({
      n,
      serial,
      ...plan,
      seen: seen?.id,
      version: seen?.version,
      ...(isOurs && { ours: serial }),
      ...(provenUdid !== undefined && { proven: provenUdid }),
      ...(challenge && { challenge: { ...challenge, hash: `\\x${challenge.hash.toString('hex')}` } }),
    }))
    // Two processes to which the same devices come write them in one order.
    .toSorted((a, b) => (a.serial < b.serial ? -1 : 1))
  const rows = await db.prepared<{ n: number }>('write_contacts', WRITE, [jsonText(contacts), at])
  const held = new Set(rows.map(({ n }) => n))
  return writings.map((_, n) => held.has(n))
}
