import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { GroupsTable } from '../../db/tables/groups.ts'

/** A set of devices. `policy_id` is the owner of a dynamic one, whose members are those of that policy. */
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
  group: Pick<Group, 'id' | 'name' | 'kind' | 'policy_id'>,
  now: Date,
): Promise<Group | undefined> {
  return trx
    .insertInto('groups')
    .values({ ...group, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst()
}

/** The group with this id. */
export function findGroup(db: Queries, id: string): Promise<Group | undefined> {
  return db.selectFrom('groups').selectAll().where('id', '=', id).executeTakeFirst()
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

/** How many members each of these static groups has; those without any are left out. */
export async function countMembers(db: Queries, groupIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('group_members')
    .select((eb) => ['group_id', eb.fn.countAll<number>().as('count')])
    .where(sql<boolean>`group_id = any(${groupIds}::text[])`)
    .groupBy('group_id')
    .execute()
  return new Map(rows.map((row) => [row.group_id, row.count]))
}

/** The ids of a static group's members in order, from after `after`. */
export async function listMemberIds(
  db: Queries,
  groupId: string,
  query: { limit: number; after: string | undefined },
): Promise<string[]> {
  const rows = await db
    .selectFrom('group_members')
    .select('enrollment_id')
    .where('group_id', '=', groupId)
    .where('enrollment_id', '>', query.after ?? '')
    .orderBy('enrollment_id')
    .limit(query.limit)
    .execute()
  return rows.map((row) => row.enrollment_id)
}

/** Adds members to a static group and says how many were new; to one that is gone or dynamic it adds none. */
export async function insertMembers(
  trx: Tx,
  groupId: string,
  enrollmentIds: readonly string[],
  now: Date,
): Promise<number> {
  const added = await sql`
    insert into group_members (group_id, enrollment_id, added_at)
    select g.id, e.id, ${now}
    from (select id from groups where id = ${groupId} and kind = 'static' for key share) as g,
      unnest(${enrollmentIds}::text[]) as e (id)
    order by e.id
    on conflict do nothing`.execute(trx)
  return Number(added.numAffectedRows ?? 0n)
}

/** Removes all members that are not in `enrollmentIds`; says how many those were. */
export async function deleteMembersExcept(
  trx: Tx,
  groupId: string,
  enrollmentIds: readonly string[],
): Promise<number> {
  const gone = await trx
    .deleteFrom('group_members')
    .where('group_id', '=', groupId)
    .where(sql<boolean>`enrollment_id not in (select unnest(${enrollmentIds}::text[]))`)
    .executeTakeFirst()
  return Number(gone.numDeletedRows)
}

/** Removes one member, in whatever case its id is spelled; false when it was none. */
export async function deleteMember(trx: Tx, groupId: string, enrollmentId: string): Promise<boolean> {
  const gone = await trx
    .deleteFrom('group_members')
    .where('group_id', '=', groupId)
    .where(sql`lower(enrollment_id)`, '=', enrollmentId.toLowerCase())
    .executeTakeFirst()
  return gone.numDeletedRows > 0n
}

/** Removes a device from all static groups. */
export async function deleteMemberships(trx: Tx, enrollmentId: string): Promise<void> {
  await trx.deleteFrom('group_members').where('enrollment_id', '=', enrollmentId).execute()
}
