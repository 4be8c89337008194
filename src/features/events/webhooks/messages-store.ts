import { sql, type Kysely, type Selectable } from 'kysely'
import type { DeviceMessagesTable } from '../../../db/tables/events.ts'
import type { Database } from '../../../db/tables/index.ts'

type Queries = Kysely<Database>

export type DeviceMessage = Selectable<DeviceMessagesTable>

/** Whether somebody is to be told of what devices say. */
export async function areMessagesWanted(db: Queries): Promise<boolean> {
  const { rows } = await sql`select from webhooks where shape = 'nanomdm' limit 1`.execute(db)
  return rows.length > 0
}

/** What devices said after a message, oldest first. */
export function messagesAfter(db: Queries, after: number, limit: number): Promise<DeviceMessage[]> {
  return db
    .selectFrom('device_messages')
    .selectAll()
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute()
}

export function messagesById(db: Queries, ids: readonly number[]): Promise<DeviceMessage[]> {
  return db.selectFrom('device_messages').selectAll().where('id', 'in', ids).execute()
}

/** The ids of the oldest message that is kept and of the newest one; 0 while there is none. */
export async function messageBounds(db: Queries): Promise<{ oldest: number; newest: number }> {
  const { rows } = await sql<{ oldest: number; newest: number }>`
    select coalesce(min(id), 0) as oldest, coalesce(max(id), 0) as newest from device_messages`.execute(db)
  return rows[0] ?? { oldest: 0, newest: 0 }
}

/** Deletes messages of before, but for the newest one, which stays for its id. */
export async function deleteMessages(db: Queries, before: Date): Promise<void> {
  await sql`
    delete from device_messages where at < ${before} and id < (select max(id) from device_messages)`.execute(
    db,
  )
}
