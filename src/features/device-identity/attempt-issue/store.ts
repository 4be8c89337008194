import { withoutNul, type Db } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import { ATTEMPT_MINUTES } from '../../attempts/index.ts'
import type { IssuedCertificate } from '../types.ts'

/**
 * The statement by which devices that enrol get their certificates, for a whole batch of them. It names tables of the
 * attempts and the events, as what an enrolment costs is mostly its number of statements and commits.
 */

/** A certificate that was signed and is to be handed out for the challenge of an attempt. */
export interface Taking {
  /** SHA-256 of the challenge. */
  hash: Buffer
  issued: Omit<IssuedCertificate, 'attempt_id' | 'enrollment_id' | 'issued_at'>
  /** Of the step in the attempt's timeline. */
  detail: Record<string, unknown>
  /** Of the event. */
  data: Record<string, unknown>
}

/**
 * A challenge is taken unless it was used, voided or has expired: what another process took meanwhile gives no row. An attempt
 * that there is not yet begins with it; its device is that of the person who was given the first challenge that is used;
 * others of the same attempt are void from then on, and nobody else gets a certificate for it.
 */
const TAKE = `
with input as materialized (
  select * from unnest($1::int[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bytea[], $7::bytea[],
    $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[])
    as i (n, hash, fingerprint, ca_id, serial, certificate, key_hash, not_before, not_after, detail, data)
), taken as (
  update scep_challenges c set public_key_hash = i.key_hash, certificate = i.certificate
  from input i
  where c.hash = i.hash and c.attempt_id is not null and c.enrollment_id is null
    and c.certificate is null and c.voided_at is null and c.expires_at > $12::timestamptz
    and not exists (
      select from issued_certificates x join enrollment_attempts a on a.id = x.attempt_id
      where x.attempt_id = c.attempt_id and a.user_id is distinct from c.user_id and c.user_id is not null
    )
  returning i.n, c.hash, c.attempt_id, c.serial_number, c.way, c.link_id, c.user_id, c.user_name
), begun as (
  insert into enrollment_attempts (id, way, serial_number, user_id, user_name, link_id, deadline, created_at, updated_at)
  select attempt_id, way, serial_number, user_id, user_name, link_id, $13::timestamptz, $12::timestamptz, $12::timestamptz
  from taken where way is not null
  on conflict (id) do nothing
  returning id
), named as (
  update enrollment_attempts a set user_id = t.user_id, user_name = t.user_name, updated_at = $12::timestamptz
  from taken t
  where a.id = t.attempt_id and t.way is null and t.user_id is not null and a.user_id is distinct from t.user_id
), voided as (
  update scep_challenges c set voided_at = $12::timestamptz
  from taken t
  where c.attempt_id = t.attempt_id and c.hash <> t.hash and c.certificate is null and c.voided_at is null
), issued as (
  insert into issued_certificates (fingerprint, ca_id, serial_number, certificate, public_key_hash, attempt_id,
    not_before, not_after, issued_at)
  select i.fingerprint, i.ca_id, i.serial, i.certificate, i.key_hash, t.attempt_id, i.not_before, i.not_after,
    $12::timestamptz
  from taken t join input i on i.n = t.n
), step as (
  insert into enrollment_attempt_steps (attempt_id, at, step, outcome, detail)
  select t.attempt_id, $12::timestamptz, 'certificate', 'passed', i.detail::jsonb
  from taken t join input i on i.n = t.n
), told as (
  insert into event_outbox (type, at, serial_number, user_name, attempt_id, data)
  select type, $12::timestamptz, serial_number, user_name, attempt_id, data
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
select t.n, t.way, t.user_name, b.id is not null as is_begun
from taken t left join begun b on b.id = t.attempt_id`

/** What taking a challenge came to: whether the attempt began with it, and of whom it is. */
export interface Taken {
  way: 'link' | 'page' | null
  user_name: string | null
  is_begun: boolean
}

/** Runs a batch, each of another attempt; what was taken, by position, undefined for what was not. */
export async function takeChallenges(
  db: Db,
  takings: readonly Taking[],
  at: Date,
): Promise<(Taken | undefined)[]> {
  // Two processes that are sent the same challenges lock them in one order.
  const ordered = takings
    .map((taking, n) => ({ n, ...taking }))
    .toSorted((a, b) => Buffer.compare(a.hash, b.hash))
  const rows = await db.prepared<Taken & { n: number }>('take_challenges', TAKE, [
    ordered.map(({ n }) => n),
    ordered.map(({ hash }) => hash),
    ordered.map(({ issued }) => issued.fingerprint),
    ordered.map(({ issued }) => issued.ca_id),
    ordered.map(({ issued }) => issued.serial_number),
    ordered.map(({ issued }) => issued.certificate),
    ordered.map(({ issued }) => issued.public_key_hash),
    ordered.map(({ issued }) => issued.not_before),
    ordered.map(({ issued }) => issued.not_after),
    ordered.map(({ detail }) => JSON.stringify(withoutNul(detail))),
    ordered.map(({ data }) => JSON.stringify(withoutNul(data))),
    at,
    addTime(at, ATTEMPT_MINUTES, 'minute'),
  ])
  const taken = new Map(rows.map(({ n, ...row }) => [n, row]))
  return takings.map((_, n) => taken.get(n))
}
