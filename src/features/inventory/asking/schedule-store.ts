import { sql } from 'kysely'
import type { Tx } from '../../../db/index.ts'

/** An interval that varies by a tenth to either side, in SQL. */
const varying = (hours: number) => sql`(${hours}::float8 * (0.9 + 0.2 * random())) * interval '1 hour'`

/** Takes channels that are due, and plans when they are next; those that another process is at are left to it. */
export async function takeDue(
  trx: Tx,
  { now, hours, limit }: { now: Date; hours: number; limit: number },
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    update inventory_schedule set asked_at = ${now}::timestamptz, next_at = ${now}::timestamptz + ${varying(hours)}
    where ctid = any(array(
      select ctid from inventory_schedule where next_at <= ${now}::timestamptz
      order by next_at limit ${limit} for update skip locked))
    returning enrollment_id as id`.execute(trx)
  return rows.map(({ id }) => id)
}

/**
 * Begins with channels that have enrolled; gives those for which that was not done before. The first time they are asked again
 * is anywhere in the second half of the interval.
 */
export async function begin(
  trx: Tx,
  channels: readonly { id: string; at: Date }[],
  { now, hours }: { now: Date; hours: number },
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    insert into inventory_schedule as s (enrollment_id, asked_at, next_at)
    select id, greatest(at, ${now}::timestamptz),
      ${now}::timestamptz + (${hours}::float8 * (0.5 + 0.5 * random())) * interval '1 hour'
    from unnest(${channels.map(({ id }) => id)}::text[], ${channels.map(({ at }) => at)}::timestamptz[]) as t (id, at)
    on conflict (enrollment_id) do update set asked_at = excluded.asked_at, next_at = excluded.next_at
      where s.asked_at < (select at from unnest(${channels.map(({ id }) => id)}::text[],
        ${channels.map(({ at }) => at)}::timestamptz[]) as t (id, at) where t.id = s.enrollment_id)
    returning s.enrollment_id as id`.execute(trx)
  return rows.map(({ id }) => id)
}

/** Has channels looked at again at a time. */
export async function putOff(trx: Tx, ids: readonly string[], until: Date): Promise<void> {
  if (ids.length === 0) return
  await sql`
    update inventory_schedule set next_at = ${until}::timestamptz where enrollment_id = any(${ids}::text[])`.execute(
    trx,
  )
}

/** Asks channels no more. */
export async function remove(trx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await sql`delete from inventory_schedule where enrollment_id = any(${ids}::text[])`.execute(trx)
}

/** Plans all anew that were planned with another interval. */
export async function planAnew(trx: Tx, hours: number): Promise<void> {
  await sql`update inventory_schedule set next_at = asked_at + ${varying(hours)}`.execute(trx)
}
