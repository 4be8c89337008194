import { sql, type Kysely } from 'kysely'

/** What devices say, kept as long as there is a webhook in the shape of NanoMDM that is to be told of it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table device_messages (
      id bigint generated always as identity primary key,
      at timestamptz not null,
      topic text not null,
      enrollment_id text not null,
      channel text not null,
      parent_id text,
      udid text,
      user_enrollment_id text,
      status text,
      command_uuid text,
      token_update_tally integer,
      raw bytea not null
    )`.execute(db)
}
