import type { Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { WebSessionsTable } from '../../../db/tables/signin.ts'

type Row = Selectable<WebSessionsTable>

/** Keeps a session. */
export async function insertSession(db: Queries, row: Row): Promise<void> {
  await db.insertInto('web_sessions').values(row).execute()
}

/** The session with this hash, if it has not expired at `now`. */
export function findSession(db: Queries, idHash: Buffer, now: Date): Promise<Row | undefined> {
  return alive(db, idHash, now).executeTakeFirst()
}

/** The same, kept from being changed by others until the transaction ends. */
export function lockSession(trx: Tx, idHash: Buffer, now: Date): Promise<Row | undefined> {
  return alive(trx, idHash, now).forUpdate().executeTakeFirst()
}

/** Replaces the sealed state of a session. */
export async function writeState(trx: Tx, idHash: Buffer, state: Buffer): Promise<void> {
  await trx.updateTable('web_sessions').set({ state }).where('id_hash', '=', idHash).execute()
}

/** Forgets a session. */
export async function deleteSession(db: Queries, idHash: Buffer): Promise<void> {
  await db.deleteFrom('web_sessions').where('id_hash', '=', idHash).execute()
}

/** Forgets sessions that have expired at `now`. */
export async function deleteExpiredSessions(db: Queries, now: Date): Promise<void> {
  await db.deleteFrom('web_sessions').where('expires_at', '<=', now).execute()
}

function alive(db: Queries, idHash: Buffer, now: Date) {
  return db.selectFrom('web_sessions').selectAll().where('id_hash', '=', idHash).where('expires_at', '>', now)
}
