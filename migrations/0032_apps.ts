import { sql, type Kysely } from 'kysely'

/**
 * Apps that groups deliver. What is delivered is a revision, which never changes; everybody gets the released one. A package
 * is an IPA in the data folder: the file has the name of its id, and devices fetch it under its unguessable key. SHA-256 of its
 * parts of `part_bytes` stand one after the other in `part_sha256s`.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table apps (
      id text primary key,
      kind text not null check (kind in ('store', 'enterprise')),
      name text not null,
      itunes_store_id bigint,
      identifier text,
      revision integer not null,
      released_revision integer not null,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      check ((kind = 'store') = (itunes_store_id is not null))
    )`.execute(db)
  await sql`create index apps_by_name on apps (name, id)`.execute(db)
  await sql`
    create table app_packages (
      id text primary key,
      app_id text not null references apps on delete cascade,
      key text not null unique,
      size bigint not null,
      sha256 bytea not null,
      part_bytes integer not null,
      part_sha256s bytea not null,
      identifier text not null,
      version text not null,
      short_version text,
      min_os_version text,
      display_name text not null,
      platforms text[] not null,
      created_at timestamptz not null
    )`.execute(db)
  await sql`create index app_packages_by_app on app_packages (app_id)`.execute(db)
  await sql`
    create table app_revisions (
      app_id text not null references apps on delete cascade,
      revision integer not null,
      manifest_url text,
      package_id text references app_packages on delete cascade,
      options jsonb not null,
      created_at timestamptz not null,
      primary key (app_id, revision)
    )`.execute(db)
  await sql`create index app_revisions_by_package on app_revisions (package_id)`.execute(db)
}
