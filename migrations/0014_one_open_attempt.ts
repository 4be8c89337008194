import { sql, type Kysely } from 'kysely'

/**
 * A device at power-on has one attempt in progress at most; of several that were left behind, the newest goes on. Nothing
 * looks for attempts by their enrollment.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    update enrollment_attempts a set outcome = 'expired', reason = 'abandoned', closed_at = now(), updated_at = now()
    where a.outcome = 'in_progress' and a.way in ('ade', 'ade_web') and exists (
      select from enrollment_attempts newer
      where newer.serial_number = a.serial_number and newer.id > a.id
        and newer.outcome = 'in_progress' and newer.way in ('ade', 'ade_web'))`.execute(db)
  await sql`
    create unique index enrollment_attempts_at_power_on on enrollment_attempts (serial_number)
      where outcome = 'in_progress' and way in ('ade', 'ade_web')`.execute(db)
  await sql`drop index enrollment_attempts_enrollment`.execute(db)
}
