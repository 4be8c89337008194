import { sql, type Kysely } from 'kysely'

/**
 * Groups by rule: the facts that rules ask for in one row a device, and the members of every group in one table, whether they were
 * named by hand or follow from a rule or a policy.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table groups drop constraint groups_check`.execute(db)
  await sql`
    alter table groups
      add column rule jsonb,
      add column rule_set_by jsonb,
      add column rule_set_via text,
      add column evaluated_to text,
      add check (case kind when 'static' then policy_id is null and rule is null
        else (policy_id is null) <> (rule is null) end)`.execute(db)
  await sql`create index groups_unevaluated on groups (id) where evaluated_to is not null`.execute(db)
  await sql`
    create table group_rule_groups (
      group_id text not null references groups on delete cascade,
      named_group_id text not null references groups,
      primary key (group_id, named_group_id)
    )`.execute(db)
  await sql`create index group_rule_groups_named on group_rule_groups (named_group_id)`.execute(db)
  await sql`
    create table group_rule_times (
      group_id text not null references groups on delete cascade,
      fact text not null check (fact in ('enrolled_at', 'last_seen_at')),
      value text not null,
      least_seconds bigint,
      at timestamptz,
      done_to timestamptz,
      primary key (group_id, fact, value),
      check ((least_seconds is null) <> (at is null))
    )`.execute(db)
  await sql`
    alter table group_members
      add column is_member boolean not null default true,
      add column is_unknown boolean not null default false`.execute(db)
  await sql`
    create table device_facts (
      enrollment_id text primary key,
      authenticated_at timestamptz,
      policy_id text,
      policy_name text,
      user_id text,
      user_name text,
      user_name_key text,
      serial_number text,
      udid text,
      device_name text,
      product_name text,
      model_name text,
      platform text,
      os_version text,
      os_version_parts integer[],
      build_version text,
      build_version_parts integer[],
      supervised boolean,
      enrollment_type text,
      way text,
      ade_server_id text,
      enrolled_at timestamptz,
      last_seen_at timestamptz,
      grouped_at_event bigint not null default 0
    ) with (fillfactor = 85)`.execute(db)
  await sql`create index device_facts_policy on device_facts (policy_id) where policy_id is not null`.execute(
    db,
  )
  await sql`create index device_facts_user on device_facts (user_id) where user_id is not null`.execute(db)
  await sql`create index device_facts_enrolled on device_facts (enrolled_at)`.execute(db)
  await sql`create index device_facts_seen on device_facts (last_seen_at)`.execute(db)
  await sql`
    create table devices_to_group (
      seq bigint generated always as identity primary key,
      enrollment_id text not null,
      by jsonb,
      via text
    ) with (autovacuum_vacuum_scale_factor = 0.05)`.execute(db)
  await sql`
    insert into devices_to_group (enrollment_id)
    select id from enrollments where parent_id is null and unenrolled_at is null and authenticated_at is not null
    order by id`.execute(db)
}
