import { sql, type Kysely } from 'kysely'

/**
 * Serial numbers are kept in capitals, so that they compare whatever their case; of two of a serial number in different cases
 * the one that Apple gave last stays. What is no serial number counts as unknown for a device.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    delete from ade_devices d where exists (
      select from ade_devices other
      where upper(other.serial_number) = upper(d.serial_number) and other.serial_number <> d.serial_number
        and (coalesce(other.op_date, '-infinity'), other.serial_number) > (coalesce(d.op_date, '-infinity'), d.serial_number)
    )`.execute(db)
  await sql`
    update ade_devices set serial_number = upper(serial_number) where serial_number <> upper(serial_number)`.execute(
    db,
  )
  await sql`
    update enrollments set serial_number = case when serial_number ~ '^[A-Za-z0-9]{1,64}$' then upper(serial_number) end
    where serial_number is not null and serial_number !~ '^[A-Z0-9]{1,64}$'`.execute(db)
  // Of attempts in progress at power-on there is one for each serial number.
  await sql`
    update enrollment_attempts a set outcome = 'expired', reason = 'abandoned', closed_at = now(), updated_at = now()
    where a.outcome = 'in_progress' and a.way in ('ade', 'ade_web') and a.serial_number <> upper(a.serial_number)`.execute(
    db,
  )
  await sql`
    update enrollment_attempts set serial_number = upper(serial_number) where serial_number <> upper(serial_number)`.execute(
    db,
  )
}
