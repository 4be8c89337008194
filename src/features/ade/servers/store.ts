import { sql, type Selectable } from 'kysely'
import { withoutNul, type Queries, type Tx } from '../../../db/index.ts'
import type { AdeServersTable } from '../../../db/tables/ade.ts'

/** A row of `ade_servers`, sealed secrets included. */
export type ServerRow = Selectable<AdeServersTable>

/** Columns that change with something an administrator does. */
export type ServerChange = Partial<Omit<ServerRow, 'id' | 'version' | 'created_at' | 'updated_at'>>

/** Adds a server; undefined when the name is taken. */
export function insertServer(
  trx: Tx,
  row: Pick<ServerRow, 'id' | 'name' | 'certificate' | 'private_key'>,
  now: Date,
): Promise<ServerRow | undefined> {
  return trx
    .insertInto('ade_servers')
    .values({ ...withoutNul(row), created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst()
}

/** The server with this id. */
export function findServer(db: Queries, id: string): Promise<ServerRow | undefined> {
  return db.selectFrom('ade_servers').selectAll().where('id', '=', withoutNul(id)).executeTakeFirst()
}

/** The server, kept from being changed by others until the transaction ends. */
export function lockServer(trx: Tx, id: string): Promise<ServerRow | undefined> {
  return trx
    .selectFrom('ade_servers')
    .selectAll()
    .where('id', '=', withoutNul(id))
    .forUpdate()
    .executeTakeFirst()
}

/** Servers by id, after `after`. */
export function listServers(
  db: Queries,
  query: { after?: string | undefined; limit: number },
): Promise<ServerRow[]> {
  const select = db.selectFrom('ade_servers').selectAll().orderBy('id').limit(query.limit)
  return (query.after === undefined ? select : select.where('id', '>', query.after)).execute()
}

/** Every server that has a token. */
export function findServersWithToken(db: Queries): Promise<ServerRow[]> {
  return db.selectFrom('ade_servers').selectAll().where('token', 'is not', null).orderBy('id').execute()
}

/** Writes columns as the next version. Throws a unique violation when the name is another's. */
export function changeServer(trx: Tx, id: string, columns: ServerChange, now: Date): Promise<ServerRow> {
  return trx
    .updateTable('ade_servers')
    .set((eb) => ({ ...withoutNul(columns), version: eb('version', '+', 1), updated_at: now }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Writes what the program itself finds out, under the same version. */
export async function noteServer(db: Queries, id: string, columns: ServerChange): Promise<void> {
  await db.updateTable('ade_servers').set(withoutNul(columns)).where('id', '=', id).execute()
}

/** Removes a server with its syncs and profiles; its devices stay, of no server. */
export async function deleteServer(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('ade_servers').where('id', '=', id).execute()
}

/** Notes why nothing goes on by itself, or (null) that it does; the reason before, or undefined when nothing changed. */
export async function setStopped(
  trx: Tx,
  id: string,
  reason: string | null,
): Promise<{ name: string } | undefined> {
  return trx
    .updateTable('ade_servers')
    .set({ stopped_reason: reason })
    .where('id', '=', id)
    .where(sql<boolean>`stopped_reason is distinct from ${reason}::text`)
    .returning('name')
    .executeTakeFirst()
}

/** Keeps everyone from calling Apple for this server before `until`; a later time that is known stays. */
export async function pause(db: Queries, id: string, until: Date): Promise<void> {
  await sql`
    update ade_servers set paused_until = greatest(paused_until, ${until}::timestamptz) where id = ${id}`.execute(
    db,
  )
}

/** Notes that it was warned of this threshold; false when it, or a nearer one, was warned of before. */
export async function setWarned(trx: Tx, server: ServerRow, days: number): Promise<boolean> {
  const result = await trx
    .updateTable('ade_servers')
    .set({ token_warned_days: days })
    .where('id', '=', server.id)
    .where('token_expires_at', '=', server.token_expires_at)
    .where((eb) => eb.or([eb('token_warned_days', 'is', null), eb('token_warned_days', '>', days)]))
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Leaves what is held for this public URL to whoever comes; another process that has it takes it again. */
export async function leaveAddress(db: Queries, address: string, now: Date): Promise<void> {
  await db
    .updateTable('ade_servers')
    .set({ address_until: now })
    .where('address', '=', address)
    .where('address_until', '>', now)
    .execute()
}
