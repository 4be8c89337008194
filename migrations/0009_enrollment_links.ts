import { sql, type Kysely } from 'kysely'

/** Links by which a device enrols without an enrollment policy. The key is kept sealed, and hashed for the look-up. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table enrollment_links (
      id text primary key,
      key_hash bytea not null unique,
      key_sealed bytea not null,
      user_id text references users on delete cascade,
      uses integer not null check (uses > 0),
      used integer not null default 0 check (used >= 0 and used <= uses),
      expires_at timestamptz not null,
      revoked_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
}
