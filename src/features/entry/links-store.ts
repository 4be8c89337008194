import type { Selectable } from 'kysely'
import { withoutNul, type Queries, type Tx } from '../../db/index.ts'
import { takingUse } from '../../db/statements/link-use.ts'
import type { EntryTables } from '../../db/tables/entry.ts'

/** An enrollment link as it is kept: the key sealed, and hashed for the look-up. */
export type StoredLink = Selectable<EntryTables['enrollment_links']>

/** Adds a link. */
export async function insertLink(trx: Tx, link: StoredLink): Promise<void> {
  await trx.insertInto('enrollment_links').values(link).execute()
}

/** The link, or undefined. */
export async function findLink(db: Queries, id: string): Promise<StoredLink | undefined> {
  return db.selectFrom('enrollment_links').selectAll().where('id', '=', withoutNul(id)).executeTakeFirst()
}

/** The link with this key's hash, or undefined. */
export async function findLinkByKey(db: Queries, hash: Buffer): Promise<StoredLink | undefined> {
  return db.selectFrom('enrollment_links').selectAll().where('key_hash', '=', hash).executeTakeFirst()
}

/** A page of links, newest first; `before` is the id after which it starts. */
export async function listLinks(
  db: Queries,
  query: { before?: string; limit: number },
): Promise<StoredLink[]> {
  const select = db.selectFrom('enrollment_links').selectAll().orderBy('id', 'desc').limit(query.limit)
  return (query.before === undefined ? select : select.where('id', '<', query.before)).execute()
}

/** Revokes a link that was not; the link as it is now, or undefined. */
export async function revokeLink(trx: Tx, id: string, now: Date): Promise<StoredLink | undefined> {
  return trx
    .updateTable('enrollment_links')
    .set({ revoked_at: now, updated_at: now })
    .where('id', '=', withoutNul(id))
    .where('revoked_at', 'is', null)
    .returningAll()
    .executeTakeFirst()
}

/** Takes one use of a link that has one left at this moment; whether that happened. */
export async function takeUse(trx: Tx, id: string, now: Date): Promise<boolean> {
  const result = await takingUse(id, now).execute(trx)
  return result.numAffectedRows === 1n
}
