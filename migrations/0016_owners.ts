import { sql, type Kysely } from 'kysely'

/**
 * What decides who may take the place of an enrollment: the way it came by (`way`, which its attempt may not live to tell), that
 * it acknowledged EraseDevice, that its serial number came back under another UDID, since when Apple says that it is gone,
 * and until when an operator allows it; `asked_at` is when Apple was last asked, `contested_at` when it was last told that a
 * replaced certificate still speaks.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table enrollments
      add column way text check (way in ('ade', 'ade_web', 'link', 'page')),
      add column erased_at timestamptz,
      add column superseded_at timestamptz,
      add column unregistered_at timestamptz,
      add column re_enrollment_until timestamptz,
      add column asked_at timestamptz`.execute(db)
  await sql`
    update enrollments e set way = coalesce(
      (select a.way from enrollment_attempts a where a.id = e.attempt_id),
      case when e.link_id is not null then 'link' when e.policy_id is not null then 'ade'
        when e.user_id is not null then 'page' end)
    where e.parent_id is null and e.attempt_id is not null`.execute(db)
  await sql`
    update enrollments e set erased_at = h.finished_at
    from commands c, unnest(c.target_ids) as t (id), delivery_history h
    where c.request_type = 'EraseDevice' and h.enrollment_id = t.id and h.command_uuid = c.uuid
      and h.state = 'acknowledged' and e.id = t.id and e.unenrolled_at is null
      and h.finished_at >= e.authenticated_at`.execute(db)
  await sql`alter table enrollment_certificates add column contested_at timestamptz`.execute(db)
}
