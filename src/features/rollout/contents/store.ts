import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { DeliveryChangesTable, GroupContentsTable } from '../../../db/tables/rollout.ts'

/** An entry of a group's contents. */
export type ContentsRow = Selectable<GroupContentsTable>

/** What a group delivers, in its order. */
export function findContents(db: Queries, groupId: string): Promise<ContentsRow[]> {
  return db
    .selectFrom('group_contents')
    .selectAll()
    .where('group_id', '=', groupId)
    .orderBy('place')
    .execute()
}

/** Deletes entries. */
export async function deleteContents(trx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await trx
    .deleteFrom('group_contents')
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
}

/** Writes an entry, a new one or a changed one. */
export async function saveContents(
  trx: Tx,
  { put_by, ...row }: Omit<ContentsRow, 'added_seq'>,
): Promise<void> {
  const { place, critical, precedence, exclude } = row
  await trx
    .insertInto('group_contents')
    .values({ ...row, put_by: put_by === null ? null : JSON.stringify(put_by) })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ place, critical, precedence, exclude }))
    .execute()
}

/** Which of these profiles and apps there are, as `<kind> <id>`, with what may be told of them. */
export async function knownThings(
  trx: Tx,
  things: readonly { kind: 'profile' | 'app'; id: string }[],
): Promise<Map<string, { name: string; licence: boolean | null; appKind: string | null }>> {
  const idsOf = (kind: string) => things.filter((thing) => thing.kind === kind).map(({ id }) => id)
  const { rows } = await sql<{ key: string; name: string; licence: boolean | null; app_kind: string | null }>`
    select 'profile ' || id as key, name, null::boolean as licence, null::text as app_kind
      from (select id, name from profiles where id = any(${idsOf('profile')}::text[]) for key share) p
    union all
    select 'app ' || a.id, a.name, (r.options ->> 'device_licence')::boolean, a.kind
      from (select * from apps where id = any(${idsOf('app')}::text[]) for key share) a
      left join app_revisions r on r.app_id = a.id and r.revision = a.released_revision`.execute(trx)
  return new Map(rows.map(({ key, app_kind: appKind, ...row }) => [key, { ...row, appKind }]))
}

/** A change that concerns many devices. */
export type Change = Selectable<DeliveryChangesTable>

/** Writes down a change. */
export async function insertChange(trx: Tx, change: Omit<Change, 'finished_at' | 'state'>): Promise<void> {
  await trx
    .insertInto('delivery_changes')
    .values({ ...change, state: 'running', finished_at: null })
    .execute()
}
