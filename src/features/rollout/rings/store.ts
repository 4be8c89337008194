import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { RingCount, RolloutsTable } from '../../../db/tables/rollout.ts'

/** A revision that is released in rings. */
export type Rollout = Selectable<RolloutsTable>

/** A thing with the revision that everybody gets. */
interface ReleasedThing {
  kind: 'profile' | 'app'
  id: string
  name: string
  identifier: string | null
  released_revision: number | null
  revision: number
}

/** Those of these profiles and apps that there are. */
export async function releasedThings(
  db: Queries,
  of: { profiles: readonly string[]; apps: readonly string[] },
): Promise<ReleasedThing[]> {
  const { rows } = await sql<ReleasedThing>`
    select 'profile' as kind, id, name, identifier, released_revision, revision from profiles
      where id = any(${of.profiles}::text[])
    union all
    select 'app', a.id, a.name, coalesce(p.identifier, a.identifier), a.released_revision, a.revision
      from apps a
      left join app_revisions r on r.app_id = a.id and r.revision = a.released_revision
      left join app_packages p on p.id = r.package_id
      where a.id = any(${of.apps}::text[])`.execute(db)
  return rows
}

/** The rollouts of things that are not over. */
export function openRollouts(db: Queries, thingIds: readonly string[]): Promise<Rollout[]> {
  return db
    .selectFrom('rollouts')
    .selectAll()
    .where('state', 'in', ['running', 'halted'])
    .where(sql<boolean>`thing_id = any(${thingIds}::text[])`)
    .execute()
}

/** The ids of rollouts that go on by themselves. */
export async function runningIds(db: Queries): Promise<string[]> {
  const rows = await db.selectFrom('rollouts').select('id').where('state', '=', 'running').execute()
  return rows.map(({ id }) => id)
}

/** The rollout with this id. */
export function findRollout(db: Queries, id: string): Promise<Rollout | undefined> {
  return db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The same, locked until the transaction ends. */
export function lockRollout(trx: Tx, id: string): Promise<Rollout | undefined> {
  return trx.selectFrom('rollouts').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Rollouts, newest first; `before` is the last one of the page before. */
export function listRollouts(
  db: Queries,
  query: {
    limit: number
    before: readonly [Date, string] | undefined
    kind?: 'profile' | 'app'
    thing_id?: string
  },
): Promise<Rollout[]> {
  let select = db
    .selectFrom('rollouts')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(query.limit)
  if (query.kind !== undefined) select = select.where('kind', '=', query.kind)
  if (query.thing_id !== undefined) select = select.where('thing_id', '=', query.thing_id)
  if (query.before !== undefined)
    select = select.where(
      sql<boolean>`(created_at, id) < (${query.before[0]}::timestamptz, ${query.before[1]})`,
    )
  return select.execute()
}

/** Writes down a rollout; undefined when another one of the thing is open. */
export function insertRollout(
  trx: Tx,
  row: Omit<Rollout, 'version' | 'counts' | 'rings' | 'reason' | 'failed_before'> & { rings: string },
): Promise<Rollout | undefined> {
  return trx
    .insertInto('rollouts')
    .values({ ...row, counts: null, reason: null })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst()
}

/** Writes down how far a rollout is. */
export function updateRollout(
  trx: Tx,
  id: string,
  set: Partial<Pick<Rollout, 'state' | 'ring' | 'ring_started_at' | 'reason' | 'failed_before'>> & {
    counts?: string
  },
  now: Date,
): Promise<Rollout> {
  return trx
    .updateTable('rollouts')
    .set((eb) => ({ ...set, version: eb('version', '+', 1), updated_at: now }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Keeps a thing from getting other revisions, and from being deleted, until the transaction ends. */
export async function lockThing(trx: Tx, kind: Rollout['kind'], id: string): Promise<void> {
  await trx
    .selectFrom(kind === 'profile' ? 'profiles' : 'apps')
    .select('id')
    .where('id', '=', id)
    .forNoKeyUpdate()
    .execute()
}

/** Whether devices that have a thing, or are to have it, are still to be looked at. */
export async function isUnderWay(
  db: Queries,
  { kind, thing_id }: Pick<Rollout, 'kind' | 'thing_id'>,
): Promise<boolean> {
  const { rows } = await sql`
    select from delivery_needs n join deliveries d on d.enrollment_id = n.enrollment_id
    where d.kind = ${kind} and d.thing_id = ${thing_id} limit 1`.execute(db)
  return rows.length > 0
}

/** How many devices of each ring there are, have the revision, and have failed; from ring 0 on. */
export async function countRings(
  db: Queries,
  { kind, thing_id, revision, rings }: Pick<Rollout, 'kind' | 'thing_id' | 'revision' | 'rings'>,
): Promise<RingCount[]> {
  const { rows } = await sql<RingCount & { ring: number }>`
    select ring, count(*)::integer as devices,
      (count(*) filter (where state = 'installed' and there_revision = ${revision}))::integer as installed,
      (count(*) filter (where state = 'failed' and revision = ${revision}))::integer as failed
    from deliveries
    where kind = ${kind} and thing_id = ${thing_id} and is_wanted and ring is not null
    group by ring`.execute(db)
  const counted = new Map(rows.map(({ ring, ...count }) => [ring, count]))
  return rings.map((_, ring) => counted.get(ring) ?? { devices: 0, installed: 0, failed: 0 })
}
