import { sql, type Selectable, type Updateable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { SetupReleasesTable } from '../../db/tables/setup-release.ts'

/** A device that is owed its release. */
export type Release = Selectable<SetupReleasesTable>

/** Owes a device its release, whatever was owed before. */
export async function owe(
  trx: Tx,
  release: Pick<Release, 'enrollment_id' | 'deadline' | 'command_uuids' | 'created_at'>,
): Promise<void> {
  const { enrollment_id, ...rest } = release
  const fresh = { ...rest, configured_uuid: null, reason: null, tries: 0, retry_at: null, released_at: null }
  await trx
    .insertInto('setup_releases')
    .values({ enrollment_id, ...fresh })
    .onConflict((conflict) => conflict.column('enrollment_id').doUpdateSet(fresh))
    .execute()
}

/** Owes a device nothing any more. */
export async function forget(trx: Tx, enrollmentId: string): Promise<void> {
  await trx.deleteFrom('setup_releases').where('enrollment_id', '=', enrollmentId).execute()
}

/** A page of what is owed, by enrollment, from after `after`; leaves out what may not be tried again yet. */
export function listOwed(
  db: Queries,
  query: { now: Date; after: string; limit: number },
): Promise<Release[]> {
  return db
    .selectFrom('setup_releases')
    .selectAll()
    .where('released_at', 'is', null)
    .where('enrollment_id', '>', query.after)
    .where((eb) => eb.or([eb('retry_at', 'is', null), eb('retry_at', '<=', query.now)]))
    .orderBy('enrollment_id')
    .limit(query.limit)
    .execute()
}

/** Those of these devices that are owed their release. */
export async function owedAmong(db: Queries, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<{ id: string }>`
    select enrollment_id as id from setup_releases
    where enrollment_id = any(${ids}::text[]) and released_at is null order by 1`.execute(db)
  return rows.map(({ id }) => id)
}

/** What a device is or was owed. */
export function find(trx: Tx, enrollmentId: string): Promise<Release | undefined> {
  return trx
    .selectFrom('setup_releases')
    .selectAll()
    .where('enrollment_id', '=', enrollmentId)
    .executeTakeFirst()
}

/** What is owed to a device, locked; undefined when that is nothing, or another process is at it. */
export function lockOwed(trx: Tx, enrollmentId: string): Promise<Release | undefined> {
  return trx
    .selectFrom('setup_releases')
    .selectAll()
    .where('enrollment_id', '=', enrollmentId)
    .where('released_at', 'is', null)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
}

/** Writes down how far a release is. */
export async function update(
  trx: Tx,
  enrollmentId: string,
  set: Updateable<SetupReleasesTable>,
): Promise<void> {
  await trx.updateTable('setup_releases').set(set).where('enrollment_id', '=', enrollmentId).execute()
}

/** Those of these devices to which nothing is owed. */
export async function withoutRelease(db: Queries, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from unnest(${ids}::text[]) as t (id)
    where not exists (select 1 from setup_releases r where r.enrollment_id = t.id and r.released_at is null)`.execute(
    db,
  )
  return rows.map(({ id }) => id)
}
