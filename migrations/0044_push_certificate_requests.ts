import { sql, type Kysely } from 'kysely'

/** Push certificates that Apple was, or is to be, asked for, with the sealed key of each; `topic`: the one that Apple gave. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table push_certificate_requests (
      id text primary key,
      private_key bytea not null,
      csr text not null,
      upload text,
      topic text,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
}
