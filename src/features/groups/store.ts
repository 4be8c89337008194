import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { GroupsTable } from '../../db/tables/groups.ts'

/** A set of devices: static, by rule, or the devices of the policy `policy_id`. */
export type Group = Selectable<GroupsTable>

/** What a list of groups is narrowed by; `after` is the name after which the page starts. */
export interface GroupQuery {
  kind?: Group['kind']
  name?: string
  policy_id?: string
  after?: string
  limit: number
}

/** Adds a group; undefined when its name is taken. */
export function insertGroup(
  trx: Tx,
  { rule = null, ...group }: Pick<Group, 'id' | 'name' | 'kind' | 'policy_id'> & { rule?: object | null },
  now: Date,
): Promise<Group | undefined> {
  return trx
    .insertInto('groups')
    .values({ ...group, rule: rule && JSON.stringify(rule), created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst()
}

/** The group with this id. */
export function findGroup(db: Queries, id: string): Promise<Group | undefined> {
  return db.selectFrom('groups').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The names of groups by their ids. */
export async function findNames(db: Queries, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom('groups')
    .select(['id', 'name'])
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/** The group of a policy. */
export function findPolicyGroup(db: Queries, policyId: string): Promise<Group | undefined> {
  return db.selectFrom('groups').selectAll().where('policy_id', '=', policyId).executeTakeFirst()
}

/** The group, kept from being deleted (but not from being changed) until the transaction ends. */
export function holdGroup(trx: Tx, id: string): Promise<Group | undefined> {
  return trx.selectFrom('groups').selectAll().where('id', '=', id).forKeyShare().executeTakeFirst()
}

/** The group, kept from other changes until the transaction ends; devices that enrol may still join it. */
export function lockGroup(trx: Tx, id: string): Promise<Group | undefined> {
  return trx.selectFrom('groups').selectAll().where('id', '=', id).forNoKeyUpdate().executeTakeFirst()
}

/** The group, kept from all changes, new members and new policies that name it until the transaction ends. */
export function lockGroupToDelete(trx: Tx, id: string): Promise<Group | undefined> {
  return trx.selectFrom('groups').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Groups by name. */
export function listGroups(db: Queries, filter: GroupQuery): Promise<Group[]> {
  let query = db.selectFrom('groups').selectAll().orderBy('name').limit(filter.limit)
  if (filter.after !== undefined) query = query.where('name', '>', filter.after)
  if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind)
  if (filter.name !== undefined) query = query.where('name', '=', filter.name)
  if (filter.policy_id !== undefined) query = query.where('policy_id', '=', filter.policy_id)
  return query.execute()
}

/** Writes the group's next version, with another name if one is given. Throws a unique violation when it is taken. */
export function updateGroup(trx: Tx, id: string, set: { name?: string }, now: Date): Promise<Group> {
  return trx
    .updateTable('groups')
    .set((eb) => ({ ...set, version: eb('version', '+', 1), updated_at: now }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Removes a group with its member rows. */
export async function deleteGroup(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('groups').where('id', '=', id).execute()
}

/** How many members each of these groups has; those without any are left out. */
export async function countMembers(db: Queries, groupIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('group_members')
    .select((eb) => ['group_id', eb.fn.countAll<number>().as('count')])
    .where(sql<boolean>`group_id = any(${groupIds}::text[])`)
    .where('is_member', '=', true)
    .groupBy('group_id')
    .execute()
  return new Map(rows.map((row) => [row.group_id, row.count]))
}

/** The ids of a group's members in order, from after `after`. */
export async function listMemberIds(
  db: Queries,
  groupId: string,
  query: { limit: number; after: string | undefined },
): Promise<string[]> {
  const rows = await db
    .selectFrom('group_members')
    .select('enrollment_id')
    .where('group_id', '=', groupId)
    .where('is_member', '=', true)
    .where('enrollment_id', '>', query.after ?? '')
    .orderBy('enrollment_id')
    .limit(query.limit)
    .execute()
  return rows.map((row) => row.enrollment_id)
}

/** Adds members to a static group and gives those who were none; to one that is gone or dynamic it adds none. */
export async function insertMembers(
  trx: Tx,
  groupId: string,
  enrollmentIds: readonly string[],
  now: Date,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    insert into group_members (group_id, enrollment_id, added_at)
    select g.id, e.id, ${now}
    from (select id from groups where id = ${groupId} and kind = 'static' for key share) as g,
      unnest(${enrollmentIds}::text[]) as e (id)
    order by e.id
    on conflict do nothing returning enrollment_id as id`.execute(trx)
  return rows.map(({ id }) => id)
}

/** Removes all members that are not in `enrollmentIds`; gives those. */
export async function deleteMembersExcept(
  trx: Tx,
  groupId: string,
  enrollmentIds: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    delete from group_members
    where group_id = ${groupId} and enrollment_id not in (select unnest(${enrollmentIds}::text[]))
    returning enrollment_id as id`.execute(trx)
  return rows.map(({ id }) => id)
}

/** Removes one member, in whatever case its id is spelled; gives it, or nothing when it was none. */
export async function deleteMember(trx: Tx, groupId: string, enrollmentId: string): Promise<string[]> {
  const gone = await trx
    .deleteFrom('group_members')
    .where('group_id', '=', groupId)
    .where(sql`lower(enrollment_id)`, '=', enrollmentId.toLowerCase())
    .returning('enrollment_id')
    .execute()
  return gone.map((row) => row.enrollment_id)
}

/** The groups that a device is in, by name, from after `after`. */
export function listGroupsOf(
  db: Queries,
  enrollmentId: string,
  query: { limit: number; after: string | undefined },
): Promise<(Pick<Group, 'id' | 'name' | 'kind' | 'policy_id'> & { added_at: Date })[]> {
  return db
    .selectFrom('group_members as m')
    .innerJoin('groups as g', 'g.id', 'm.group_id')
    .select(['g.id', 'g.name', 'g.kind', 'g.policy_id', 'm.added_at'])
    .where('m.enrollment_id', '=', enrollmentId)
    .where('m.is_member', '=', true)
    .where('g.name', '>', query.after ?? '')
    .orderBy('g.name')
    .limit(query.limit)
    .execute()
}
