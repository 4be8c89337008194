import { sql, type Kysely } from 'kysely'

/**
 * Whom of a sign-in source a user is. Those who were made before have no subject yet: the first sign-in tells it. Where their
 * attempts came by the policies of one source alone, that source is the one which may.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table users
      add column sign_in_source_id text,
      add column sign_in_subject text,
      add constraint users_sign_in_subject check (sign_in_subject is null or sign_in_source_id is not null)`.execute(
    db,
  )
  await sql`
    create unique index users_sign_in on users (sign_in_source_id, sign_in_subject)
      where sign_in_subject is not null`.execute(db)
  await sql`
    alter table sign_in_sources add column links_existing_users boolean not null default false`.execute(db)
  await sql`
    update users u set sign_in_source_id = made.source_id
    from (
      select a.user_id, min(p.sign_in_source_id) as source_id
      from enrollment_attempts a join enrollment_policies p on p.id = a.policy_id
      where a.user_id is not null
      group by a.user_id
      having count(distinct coalesce(p.sign_in_source_id, '')) = 1
    ) made
    where made.user_id = u.id and u.password_hash is null
      and made.source_id in (select id from sign_in_sources where kind <> 'local')`.execute(db)
}
