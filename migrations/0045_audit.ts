import { sql, type Kysely } from 'kysely'

/**
 * The audit trail. What was asked for waits in `audit_outbox`, written with the change itself, until it gets its number after the
 * commit; `audit` is a chain of hashes (`content` names the hash before it, `hash` is of `content`), to which can only be added.
 * The other columns repeat what `content` says, to find it by.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table audit_outbox (
      entry text primary key,
      seq bigserial,
      at timestamptz not null,
      is_complete boolean not null,
      content jsonb not null
    )`.execute(db)
  await sql`create index audit_outbox_seq on audit_outbox (seq)`.execute(db)
  await sql`
    create table audit (
      number bigint primary key,
      at timestamptz not null,
      actor_id text,
      actor_name text,
      action text not null,
      object_kind text,
      object_id text,
      outcome text not null,
      content text not null,
      hash text not null
    )`.execute(db)
  await sql`create index audit_actor on audit (actor_id, number)`.execute(db)
  await sql`create index audit_object on audit (object_id, number)`.execute(db)
  await sql`create index audit_at on audit (at)`.execute(db)
  await sql`
    create function audit_only_grows() returns trigger language plpgsql as $$
    begin
      if TG_OP = 'DELETE' and current_setting('firstboot.audit_retention', true) = 'on' then
        return old;
      end if;
      raise exception 'the audit trail can only be added to';
    end $$`.execute(db)
  await sql`
    create trigger audit_only_grows before update or delete on audit
    for each row execute function audit_only_grows()`.execute(db)
  await sql`
    create trigger audit_is_not_emptied before truncate on audit
    for each statement execute function audit_only_grows()`.execute(db)
}
