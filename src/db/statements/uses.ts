import { sql, type Kysely } from 'kysely'
import type { UsedBy } from '../../kernel/errors.ts'
import type { Database } from '../tables/index.ts'
import type { Tx } from '../transaction.ts'
import { withoutNul } from '../values.ts'

// Questions up the order of the slices: who uses a thing that somebody is about to change, name or delete. They are reads of
// the tables of others, in the place of callbacks.

type Reader = Kysely<Database>
/** What rollouts release and groups deliver. */
type ThingKind = 'profile' | 'app'

/** The serial numbers of these devices and of the devices of these channels, as far as they have one. */
export async function serialsOf(db: Reader, enrollmentIds: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql<{ id: string; serial: string }>`
    select e.id, coalesce(e.serial_number, d.serial_number) as serial
    from enrollments e left join enrollments d on d.id = e.parent_id
    where e.id = any(${enrollmentIds}::text[]) and coalesce(e.serial_number, d.serial_number) is not null`.execute(
    db,
  )
  return new Map(rows.map(({ id, serial }) => [id, serial]))
}

/** How many devices of a user are live (from Authenticate to their end). */
export function liveDevicesOf(db: Reader, userId: string): Promise<number> {
  return count(db, sql`enrollments where user_id = ${userId} and parent_id is null and unenrolled_at is null`)
}

/** The kind of a sign-in source, which is kept from being deleted until the transaction ends; undefined when there is none. */
export async function holdSourceKind(
  trx: Tx,
  sourceId: string,
): Promise<'local' | 'ws_trust' | 'oidc' | undefined> {
  const query = trx.selectFrom('sign_in_sources').select('kind').where('id', '=', withoutNul(sourceId))
  return (await query.forKeyShare().executeTakeFirst())?.kind
}

/** Whether people sign in at the page /enroll by this source. */
export async function isSourceOfPage(db: Reader, sourceId: string): Promise<boolean> {
  return (await count(db, sql`settings where "values" ->> 'enroll_sign_in_source_id' = ${sourceId}`)) > 0
}

/** The names of the enrollment policies that name this sign-in source. */
export async function policiesNaming(db: Reader, sourceId: string): Promise<string[]> {
  const query = db.selectFrom('enrollment_policies').select('name').where('sign_in_source_id', '=', sourceId)
  return (await query.orderBy('name').execute()).map(({ name }) => name)
}

/**
 * What names a group, so that it cannot be deleted: rules of other groups, enrollment policies, links that still let devices in,
 * rings of rollouts that are not over.
 */
export async function usesOfGroup(db: Reader, groupId: string, now: Date): Promise<UsedBy[]> {
  const { rows } = await sql<UsedBy>`
    select 'group' as kind, g.id, g.name
    from group_rule_groups r join groups g on g.id = r.group_id
    where r.named_group_id = ${groupId}
    union all
    select 'enrollment_policy', id, name from enrollment_policies where group_id = ${groupId}
    union all
    select 'enrollment_link', l.id, coalesce('link for ' || u.user_name, 'link')
    from enrollment_links l left join users u on u.id = l.user_id
    where l.group_id = ${groupId} and l.revoked_at is null and l.expires_at > ${now} and l.used < l.uses
    union all
    select 'rollout', r.id, 'rollout of ' || coalesce(p.name, a.name, r.thing_id)
    from rollouts r
    left join profiles p on r.kind = 'profile' and p.id = r.thing_id
    left join apps a on r.kind = 'app' and a.id = r.thing_id
    where r.state in ('running', 'halted') and ${groupId} = any(r.group_ids)
    order by kind, name, id`.execute(db)
  return rows
}

/** How many serial numbers that are ours at Apple have this policy. */
export function serialNumbersWith(db: Reader, policyId: string): Promise<number> {
  return count(
    db,
    sql`ade_devices where policy_id = ${policyId} and ade_server_id is not null
      and released_at is null and removed_at is null`,
  )
}

/** The names of the ADE servers whose new serial numbers get this policy. */
export async function serversGiving(db: Reader, policyId: string): Promise<string[]> {
  const query = db.selectFrom('ade_servers').select('name').where('default_policy_id', '=', policyId)
  return (await query.orderBy('name').execute()).map(({ name }) => name)
}

/**
 * What names this secret, so that it cannot be deleted: profiles and apps, in their newest revision, the one that everybody gets,
 * or one that a rollout releases.
 */
export async function usesOfSecret(db: Reader, name: string): Promise<UsedBy[]> {
  const variable = `{{secret.${name}`
  const { rows } = await sql<UsedBy>`
    select distinct 'profile' as kind, p.id, p.name
    from profile_secrets s join profiles p on p.id = s.profile_id
    where s.secret_name = ${name} and (s.revision in (p.revision, p.released_revision)
      or s.revision in (${openRevisions('profile')} and o.thing_id = p.id))
    union
    select 'app', a.id, a.name
    from app_revisions r join apps a on a.id = r.app_id
    cross join lateral (select (r.options -> 'configuration')::text as told) c
    where (position(${`${variable}}}`} in c.told) > 0 or position(${`${variable}|`} in c.told) > 0)
      and (r.revision in (a.revision, a.released_revision)
        or r.revision in (${openRevisions('app')} and o.thing_id = a.id))
    order by kind, name, id`.execute(db)
  return rows
}

function openRevisions(kind: ThingKind) {
  return sql`select o.revision from rollouts o where o.state in ('running', 'halted') and o.kind = ${kind}`
}

/** What names a profile or an app, so that it cannot be deleted: the contents of groups, also where they keep it away. */
export async function usesOfThing(db: Reader, kind: ThingKind, id: string): Promise<UsedBy[]> {
  const { rows } = await sql<UsedBy>`
    select distinct 'group' as kind, g.id, g.name
    from group_contents c join groups g on g.id = c.group_id
    where c.kind = ${kind} and c.thing_id = ${id}
    order by name, id`.execute(db)
  return rows
}

/** The groups that deliver these profiles or apps, by the ids of those that any group delivers. */
export async function groupsDelivering(
  db: Reader,
  kind: ThingKind,
  ids: readonly string[],
): Promise<Map<string, string[]>> {
  if (ids.length === 0) return new Map()
  const { rows } = await sql<{ id: string; group_ids: string[] }>`
    select thing_id as id, array_agg(distinct group_id order by group_id) as group_ids from group_contents
    where kind = ${kind} and thing_id = any(${ids}::text[]) and not exclude group by thing_id`.execute(db)
  return new Map(rows.map(({ id, group_ids }) => [id, group_ids]))
}

/** Whether a rollout of a profile or an app is not over. */
export async function hasOpenRollout(db: Reader, kind: ThingKind, id: string): Promise<boolean> {
  return (
    (await count(
      db,
      sql`rollouts where kind = ${kind} and thing_id = ${id} and state in ('running', 'halted')`,
    )) > 0
  )
}

async function count(db: Reader, rows: ReturnType<typeof sql>): Promise<number> {
  const found = await sql<{ count: number }>`select count(*) as count from ${rows}`.execute(db)
  return found.rows[0]?.count ?? 0
}
