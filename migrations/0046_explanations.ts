import { sql, type Kysely } from 'kysely'

/** What devices, attempts and refusals of strangers are found by when somebody asks why something is as it is. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The order of the letters' codes, in which a beginning is one stretch whatever the language of the database.
  await sql`
    create index enrollments_device_name on enrollments (lower(device_name) text_pattern_ops, id)
      where device_name is not null`.execute(db)
  await sql`
    create index enrollment_attempts_udid on enrollment_attempts (lower(udid), id) where udid is not null`.execute(
    db,
  )
  await sql`
    create index events_of_strangers on events using gin ((data -> 'serial_numbers'), (data -> 'user_names'))
      where attempt_id is null and data ? 'network'`.execute(db)
}
