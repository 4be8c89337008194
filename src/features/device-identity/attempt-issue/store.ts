import { withoutNul, type Db } from '../../../db/index.ts'
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

/** A challenge is taken unless it was used, voided or has expired: what another process took meanwhile gives no row. */
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
  returning i.n, c.attempt_id, c.serial_number
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
  insert into event_outbox (type, at, serial_number, attempt_id, data)
  select 'certificate.issued', $12::timestamptz, t.serial_number, t.attempt_id, i.data::jsonb
  from taken t join input i on i.n = t.n
)
select n from taken`

/** Runs a batch, each of another challenge; whether each was taken, by position. */
export async function takeChallenges(db: Db, takings: readonly Taking[], at: Date): Promise<boolean[]> {
  // Two processes that are sent the same challenges lock them in one order.
  const ordered = takings
    .map((taking, n) => ({ n, ...taking }))
    .toSorted((a, b) => Buffer.compare(a.hash, b.hash))
  const rows = await db.prepared<{ n: number }>('take_challenges', TAKE, [
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
  ])
  const taken = new Set(rows.map(({ n }) => n))
  return takings.map((_, n) => taken.has(n))
}
