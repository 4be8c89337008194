import { sql, type Kysely } from 'kysely'

/**
 * Secrets by name, and the configuration profiles that name them. What is delivered of a profile is a revision, which never changes;
 * everybody gets the released one. The version of a secret is unlike that of every secret before it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create sequence secret_versions as bigint`.execute(db)
  await sql`
    create table secrets (
      name text primary key,
      value bytea not null,
      version bigint not null default nextval('secret_versions'),
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`
    create table profiles (
      id text primary key,
      name text not null,
      identifier text not null,
      scope text not null check (scope in ('system', 'user')),
      revision integer not null,
      released_revision integer,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create index profiles_by_name on profiles (name, id)`.execute(db)
  await sql`create index profiles_by_identifier on profiles (identifier)`.execute(db)
  await sql`
    create table profile_revisions (
      profile_id text not null references profiles on delete cascade,
      revision integer not null,
      content bytea not null,
      size integer not null,
      facts jsonb not null,
      signer jsonb,
      warnings jsonb not null,
      created_at timestamptz not null,
      primary key (profile_id, revision)
    )`.execute(db)
  await sql`
    create table profile_secrets (
      profile_id text not null,
      revision integer not null,
      secret_name text not null,
      primary key (profile_id, revision, secret_name),
      foreign key (profile_id, revision) references profile_revisions on delete cascade
    )`.execute(db)
  await sql`create index profile_secrets_by_name on profile_secrets (secret_name)`.execute(db)
}
