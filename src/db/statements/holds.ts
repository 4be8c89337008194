import { sql } from 'kysely'
import type { Queries } from '../database.ts'

/**
 * A page of devices that are held in Setup Assistant and are to be looked at, by id from after `after`: their time has come (or
 * lies farther away than it can, since the clock was set back), or the DeviceConfigured that was on its way has come to an end.
 * The pauses, in seconds, are the longest while they wait for something, and once they are told to go on.
 */
export async function dueHolds(
  db: Queries,
  query: { now: Date; after: string; limit: number; longestWait: number; longestPause: number },
): Promise<string[]> {
  const { now, after, limit, longestWait, longestPause } = query
  const { rows } = await sql<{ id: string }>`
    select r.enrollment_id as id from setup_releases r
    where r.released_at is null and r.enrollment_id > ${after}
      and (r.next_at <= ${now}::timestamptz
        or r.next_at > ${now}::timestamptz + interval '1 second'
          * (case when r.reason is null or r.configured_uuid is null then ${longestWait}::int else ${longestPause}::int end)
        or (r.configured_uuid is not null and not exists (
          select from pending_deliveries p
          where p.enrollment_id = r.enrollment_id and p.command_uuid = r.configured_uuid)))
    order by r.enrollment_id limit ${limit}`.execute(db)
  return rows.map(({ id }) => id)
}

/**
 * Those of these devices that are owed their release and may go on with it. Left out are those that surely wait on: within their time,
 * with a critical thing, a first command or DeviceConfigured in their queue, the end of which has them looked at again.
 */
export async function holdsToLookAt(db: Queries, ids: readonly string[], now: Date): Promise<string[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<{ id: string }>`
    select r.enrollment_id as id from setup_releases r
    where r.enrollment_id = any(${ids}::text[]) and r.released_at is null and not exists (
      select from enrollments e left join enrollment_policies p on p.id = e.policy_id
      where e.id = r.enrollment_id and e.generation = r.generation and e.unenrolled_at is null and e.erased_at is null
        and r.next_at > ${now}::timestamptz
        and case when r.reason is not null then exists (
          select from pending_deliveries q
          where q.enrollment_id = r.enrollment_id and q.command_uuid = r.configured_uuid)
        else r.deadline > ${now}::timestamptz and coalesce((p.ade->>'await_device_configured')::boolean, false) and (
          exists (
            select from pending_deliveries q
            where q.enrollment_id = r.enrollment_id and q.command_uuid = any(r.command_uuids))
          or exists (
            select from deliveries d
            where d.enrollment_id = r.enrollment_id and d.is_wanted and d.critical and d.state = 'queued'))
        end)
    order by 1`.execute(db)
  return rows.map(({ id }) => id)
}
