import { sql } from 'kysely'
import { withoutNul, type Tx } from '../../../db/index.ts'
import type { ContactPlan } from '../../attempts/index.ts'
import type { NewChallenge } from '../../device-identity/index.ts'

/**
 * What is written of devices at power-on, for a whole batch of them. It names tables of several slices, as what a contact costs is
 * mostly its number of statements.
 */

/** Of the advisory locks, those of serial numbers that enrol. */
const LOCKS = 0x656e726f

/** Lets only this transaction, among all processes, decide on attempts of these serial numbers until it ends. */
export async function lockSerials(trx: Tx, serials: readonly string[]): Promise<void> {
  await sql`
    select pg_advisory_xact_lock(${sql.lit(LOCKS)}, h) from (
      select distinct hashtext(s) as h from unnest(${withoutNul(serials)}::text[]) s order by 1
    ) hashes`.execute(trx)
}

/** What contacts come to. */
interface Writing {
  plan: ContactPlan
  /** Serial numbers whose devices have come to enrol with the profiles that Apple has for them. */
  ours: readonly string[]
  /** Of those that get a profile. */
  challenges: readonly NewChallenge[]
}

/** Writes it. What was given out for an attempt that is abandoned is void. */
export async function writeContacts(trx: Tx, { plan, ours, challenges }: Writing, now: Date): Promise<void> {
  const at = sql`${now}::timestamptz`
  const json = (rows: readonly object[]) => sql`json_to_recordset(${JSON.stringify(withoutNul(rows))}::json)`
  const hashes = challenges.map(({ hash, ...rest }) => ({ ...rest, hash: `\\x${hash.toString('hex')}` }))
  await sql`
    with opened as (
      insert into enrollment_attempts (id, way, outcome, reason, serial_number, udid, user_id, user_name, policy_id,
        deadline, closed_at, created_at, updated_at)
      select id, way, coalesce(outcome, 'in_progress'), reason, serial_number, udid, user_id, user_name, policy_id,
        deadline, case when outcome is not null then ${at} end, ${at}, ${at}
      from ${json(plan.opened)} as o (id text, way text, outcome text, reason text, serial_number text, udid text,
        user_id text, user_name text, policy_id text, deadline timestamptz)
    ), joined as (
      update enrollment_attempts a set deadline = j.deadline, updated_at = ${at},
        user_id = coalesce(j.user_id, a.user_id), user_name = coalesce(j.user_name, a.user_name),
        outcome = coalesce(j.outcome, a.outcome), reason = coalesce(j.reason, a.reason),
        closed_at = case when j.outcome is not null then ${at} end
      from ${json(plan.joined)} as j (id text, outcome text, reason text, user_id text, user_name text,
        deadline timestamptz)
      where a.id = j.id
    ), abandoned as (
      update enrollment_attempts set outcome = 'expired', reason = 'abandoned', closed_at = ${at}, updated_at = ${at}
      where id = any(${plan.abandoned}::text[])
    ), void as (
      update scep_challenges set voided_at = ${at}
      where voided_at is null and attempt_id = any(${plan.abandoned}::text[])
    ), steps as (
      insert into enrollment_attempt_steps (attempt_id, at, step, outcome, reason, detail)
      select attempt_id, ${at}, step, outcome, reason, coalesce(detail, '{}')
      from ${json(plan.steps)} as s (attempt_id text, step text, outcome text, reason text, detail jsonb)
    ), told as (
      insert into event_outbox (type, at, enrollment_id, serial_number, user_name, reason, attempt_id, data)
      select type, ${at}, enrollment_id, serial_number, user_name, reason, attempt_id, coalesce(data, '{}')
      from ${json(plan.events)} as e (type text, enrollment_id text, serial_number text, user_name text, reason text,
        attempt_id text, data jsonb)
    ), noted as (
      update ade_devices d set contacted_at = ${at}, running_profile_uuid = d.apple_profile_uuid
      from (select serial_number from ade_devices where serial_number = any(${withoutNul(ours)}::text[])
        order by serial_number for update) o
      where d.serial_number = o.serial_number
    )
    insert into scep_challenges (hash, attempt_id, serial_number, udid, expires_at, created_at)
    select hash::bytea, attempt_id, serial_number, udid, expires_at, ${at}
    from ${json(hashes)} as c (hash text, attempt_id text, serial_number text, udid text, expires_at timestamptz)`.execute(
    trx,
  )
}
