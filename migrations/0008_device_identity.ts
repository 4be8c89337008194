import { sql, type Kysely } from 'kysely'

/**
 * The device CA with the signer of its profiles, its challenges, every certificate it issued, and the table that says
 * which certificate is which enrollment. A bound certificate is `active`, `replaced` (its enrollment has another one)
 * or `ended` (its enrollment is over); the row stays, so that a phone whose enrollment has ended can be told so.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table device_cas (
      id text primary key,
      certificate bytea not null,
      private_key bytea,
      created_at timestamptz not null
    )`.execute(db)
  await sql`
    create table profile_signers (
      ca_id text primary key references device_cas,
      certificate bytea not null,
      private_key bytea not null,
      created_at timestamptz not null
    )`.execute(db)
  await sql`
    create table scep_challenges (
      hash bytea primary key,
      attempt_id text,
      enrollment_id text,
      serial_number text,
      udid text,
      public_key_hash bytea,
      certificate bytea,
      voided_at timestamptz,
      expires_at timestamptz not null,
      created_at timestamptz not null,
      check (attempt_id is not null or enrollment_id is not null)
    )`.execute(db)
  await sql`create index scep_challenges_expires on scep_challenges (expires_at)`.execute(db)
  await sql`create index scep_challenges_attempt on scep_challenges (attempt_id)`.execute(db)
  await sql`
    create index scep_challenges_enrollment on scep_challenges (enrollment_id)
      where enrollment_id is not null`.execute(db)
  await sql`
    create table issued_certificates (
      fingerprint bytea primary key,
      ca_id text not null,
      serial_number text not null,
      certificate bytea not null,
      public_key_hash bytea not null,
      attempt_id text,
      enrollment_id text,
      not_before timestamptz not null,
      not_after timestamptz not null,
      issued_at timestamptz not null
    )`.execute(db)
  await sql`create index issued_certificates_attempt on issued_certificates (attempt_id)`.execute(db)
  await sql`
    create table enrollment_certificates (
      enrollment_id text not null,
      fingerprint bytea not null,
      state text not null check (state in ('active', 'replaced', 'ended')),
      renewal boolean not null default false,
      bound_at timestamptz not null,
      primary key (enrollment_id, fingerprint)
    )`.execute(db)
  await sql`
    create index enrollment_certificates_fingerprint on enrollment_certificates (fingerprint)`.execute(db)
}
