import { sql } from 'kysely'

/** The statement that takes one use of a link, if it has one left at this moment; a part of another one, too. */
export function takingUse(id: string, now: Date) {
  return sql`
    update enrollment_links set used = used + 1, updated_at = ${now}::timestamptz
    where id = ${id} and revoked_at is null and expires_at > ${now}::timestamptz and used < uses`
}
