import { sql, type Kysely } from 'kysely'

/**
 * An attempt by link or page begins with its certificate: until then its challenge holds what it will begin with. One at
 * power-on knows the signed words of each contact, so that they are known again. Who tried, and every reason on the way, is
 * found by index.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table scep_challenges add column way text, add column link_id text, add column user_id text,
      add column user_name text`.execute(db)
  await sql`
    create index scep_challenges_unused_of_link on scep_challenges (link_id, created_at)
      where link_id is not null and certificate is null`.execute(db)
  await sql`
    create index enrollment_attempts_user_name on enrollment_attempts (lower(normalize(user_name)), id)
      where user_name is not null`.execute(db)
  await sql`
    alter table enrollment_attempt_steps add column user_name text, add column machine_info_hash bytea`.execute(
    db,
  )
  await sql`
    update enrollment_attempt_steps set user_name = detail ->> 'user_name' where step = 'sign_in' and detail ? 'user_name'`.execute(
    db,
  )
  await sql`
    create index enrollment_attempt_steps_reason on enrollment_attempt_steps (reason, attempt_id)
      where reason is not null`.execute(db)
  await sql`
    create index enrollment_attempt_steps_user_name on enrollment_attempt_steps (lower(normalize(user_name)), attempt_id)
      where user_name is not null`.execute(db)
  await sql`
    create index enrollment_attempt_steps_machine_info on enrollment_attempt_steps (machine_info_hash, at)
      where machine_info_hash is not null`.execute(db)
}
