import type { Selectable } from 'kysely'
import type { Db } from '../database.ts'
import type { DeviceIdentityTables } from '../tables/device-identity.ts'
import { withoutNul } from '../values.ts'
import { batchStatement } from './statement.ts'

/** Certificates recorded by one statement. */
export const TAKINGS_AT_ONCE = 64

/** A challenge as it is kept. */
type ChallengeRow = Omit<Selectable<DeviceIdentityTables['scep_challenges']>, 'created_at'>

/** The challenge with this hash, or undefined: the first thing that is asked for whoever wants a certificate. */
export async function findChallenge(db: Db, hash: Buffer): Promise<ChallengeRow | undefined> {
  const rows = await db.prepared<ChallengeRow>(
    'find_challenge',
    `select hash, attempt_id, enrollment_id, serial_number, udid, way, link_id, policy_id, user_id, user_name, public_key_hash,
      certificate, voided_at, expires_at
    from scep_challenges where hash = $1`,
    [hash],
  )
  return rows[0]
}

/** A certificate that was signed and is to be handed out for the challenge of an attempt. */
export interface Taking {
  /** SHA-256 of the challenge. */
  hash: Buffer
  issued: Omit<
    Selectable<DeviceIdentityTables['issued_certificates']>,
    'attempt_id' | 'enrollment_id' | 'issued_at'
  >
  /** Of the step in the attempt's timeline. */
  detail: Record<string, unknown>
  /** Of the event `certificate.issued`. */
  data: Record<string, unknown>
}

/** What taking a challenge came to: of whom the attempt is, and by what way it began where it began with this. */
export interface Taken {
  user_name: string | null
  begun_by: 'link' | 'page' | null
}

/**
 * A challenge is taken unless it was used, voided or has expired: what another process took meanwhile gives no row. An attempt
 * that there is not yet begins with it; its device is that of the person who was given the first challenge that is used;
 * others of the same attempt are void from then on, and nobody else gets a certificate for it.
 */
const take = batchStatement<Taking & { n: number }, Taken & { place: number }, 'at' | 'deadline'>({
  name: 'take_challenges',
  columns: {
    place: ['integer', ({ n }) => n],
    hash: ['bytea', ({ hash }) => hash],
    fingerprint: ['bytea', ({ issued }) => issued.fingerprint],
    ca_id: ['text', ({ issued }) => issued.ca_id],
    serial: ['text', ({ issued }) => issued.serial_number],
    certificate: ['bytea', ({ issued }) => issued.certificate],
    key_hash: ['bytea', ({ issued }) => issued.public_key_hash],
    not_before: ['timestamptz', ({ issued }) => issued.not_before],
    not_after: ['timestamptz', ({ issued }) => issued.not_after],
    detail: ['text', ({ detail }) => JSON.stringify(withoutNul(detail))],
    data: ['text', ({ data }) => JSON.stringify(withoutNul(data))],
  },
  given: { at: 'timestamptz', deadline: 'timestamptz' },
  text: (input, given) => `
with input as materialized (
  ${input}
), taken as (
  update scep_challenges c set public_key_hash = i.key_hash, certificate = i.certificate
  from input i
  where c.hash = i.hash and c.attempt_id is not null and c.enrollment_id is null
    and c.certificate is null and c.voided_at is null and c.expires_at > ${given.at}
    and not exists (
      select from issued_certificates x join enrollment_attempts a on a.id = x.attempt_id
      where x.attempt_id = c.attempt_id and a.user_id is distinct from c.user_id and c.user_id is not null
    )
  returning i.n, i.place, c.hash, c.attempt_id, c.serial_number, c.way, c.link_id, c.policy_id, c.user_id, c.user_name
), begun as (
  insert into enrollment_attempts (id, way, serial_number, user_id, user_name, link_id, policy_id, deadline, created_at,
    updated_at)
  select attempt_id, way, serial_number, user_id, user_name, link_id, policy_id, ${given.deadline}, ${given.at}, ${given.at}
  from taken where way is not null
  on conflict (id) do nothing
  returning id
), named as (
  update enrollment_attempts a set user_id = t.user_id, user_name = t.user_name, updated_at = ${given.at}
  from taken t
  where a.id = t.attempt_id and t.way is null and t.user_id is not null and a.user_id is distinct from t.user_id
), voided as (
  update scep_challenges c set voided_at = ${given.at}
  from taken t
  where c.attempt_id = t.attempt_id and c.hash <> t.hash and c.certificate is null and c.voided_at is null
), issued as (
  insert into issued_certificates (fingerprint, ca_id, serial_number, certificate, public_key_hash, attempt_id,
    not_before, not_after, issued_at)
  select i.fingerprint, i.ca_id, i.serial, i.certificate, i.key_hash, t.attempt_id, i.not_before, i.not_after,
    ${given.at}
  from taken t join input i on i.n = t.n
), step as (
  insert into enrollment_attempt_steps (attempt_id, at, step, outcome, detail)
  select t.attempt_id, ${given.at}, 'certificate', 'passed', i.detail::jsonb
  from taken t join input i on i.n = t.n
), told as (
  insert into event_outbox (type, at, serial_number, user_name, attempt_id, data)
  select type, ${given.at}, serial_number, user_name, attempt_id, data
  from (
    select n, 1 as place, 'enrollment.started' as type, serial_number, user_name, attempt_id,
      jsonb_build_object('way', way) as data
    from taken where attempt_id in (select id from begun)
    union all
    select t.n, 2, 'certificate.issued', t.serial_number, t.user_name, t.attempt_id, i.data::jsonb
    from taken t join input i on i.n = t.n
  ) e
  order by n, place
)
select t.place, t.user_name, case when b.id is not null then t.way end as begun_by
from taken t left join begun b on b.id = t.attempt_id`,
})

/**
 * Runs a batch, each of another attempt; what was taken, by position, undefined for what was not. `deadline`: of attempts that
 * begin with it.
 */
export async function takeChallenges(
  db: Db,
  takings: readonly Taking[],
  given: { at: Date; deadline: Date },
): Promise<(Taken | undefined)[]> {
  // Two processes that are sent the same challenges lock them in one order.
  const ordered = takings
    .map((taking, n) => ({ n, ...taking }))
    .toSorted((a, b) => Buffer.compare(a.hash, b.hash))
  const rows = await take.run(db, ordered, given)
  const taken = new Map(rows.map(({ place, ...row }) => [place, row]))
  return takings.map((_, n) => taken.get(n))
}
