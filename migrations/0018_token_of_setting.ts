import { sql, type Kysely } from 'kysely'

/**
 * The admin token that FIRSTBOOT_ADMIN_TOKEN names is told from others, so that it ends when the setting changes. Those of before
 * cannot be told from generated ones: a setting that names another ends both.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table api_tokens add column from_setting boolean not null default false`.execute(db)
  await sql`
    update api_tokens set from_setting = true where name = 'First admin token' and role = 'admin'`.execute(db)
}
