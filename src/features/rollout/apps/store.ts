import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { AppPackagesTable, AppRevisionsTable, AppsTable } from '../../../db/tables/rollout.ts'
import type { AppOptions, RevisionName } from './types.ts'

/** An app as it is kept. */
export type App = Selectable<AppsTable>

/** A package as it is kept. */
export type AppPackage = Selectable<AppPackagesTable>

/** A stored revision of an app, with the package that it names. */
export type AppRevision = Omit<Selectable<AppRevisionsTable>, 'options'> & {
  options: AppOptions
  package: AppPackage | null
}

/** What the next revision of an app is made of. */
export type NewRevision = Pick<AppRevision, 'manifest_url' | 'package_id' | 'options'>

/** What a list of apps is narrowed by; `after` is the name and id after which the page starts. */
export interface AppQuery {
  kind?: App['kind']
  name?: string
  after?: readonly [name: string, id: string]
  limit: number
}

/** Adds an app with its first revision. */
export async function insertApp(
  trx: Tx,
  app: Pick<App, 'id' | 'kind' | 'name' | 'itunes_store_id' | 'identifier'>,
  first: NewRevision,
  now: Date,
): Promise<App> {
  const row = await trx
    .insertInto('apps')
    .values({ ...app, revision: 1, released_revision: 1, created_at: now, updated_at: now })
    .returningAll()
    .executeTakeFirstOrThrow()
  await insertRevision(trx, { id: app.id, revision: 1 }, first, now)
  return row
}

/** Adds a revision. */
export async function insertRevision(
  trx: Tx,
  { id, revision }: RevisionName,
  { manifest_url, package_id, options }: NewRevision,
  now: Date,
): Promise<void> {
  await trx
    .insertInto('app_revisions')
    .values({
      app_id: id,
      revision,
      manifest_url,
      package_id,
      options: JSON.stringify(options),
      created_at: now,
    })
    .execute()
}

/** The app with this id. */
export function findApp(db: Queries, id: string): Promise<App | undefined> {
  return db.selectFrom('apps').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The apps with these ids. */
export async function findApps(db: Queries, ids: readonly string[]): Promise<Map<string, App>> {
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('apps')
    .selectAll()
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

/** The app, kept from other changes until the transaction ends. */
export function lockApp(trx: Tx, id: string): Promise<App | undefined> {
  return trx.selectFrom('apps').selectAll().where('id', '=', id).forNoKeyUpdate().executeTakeFirst()
}

/** The app, kept from other changes and from being named until the transaction ends. */
export function lockAppToDelete(trx: Tx, id: string): Promise<App | undefined> {
  return trx.selectFrom('apps').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Apps by name. */
export function listApps(db: Queries, filter: AppQuery): Promise<App[]> {
  let query = db.selectFrom('apps').selectAll().orderBy('name').orderBy('id').limit(filter.limit)
  if (filter.after !== undefined) {
    const [name, id] = filter.after
    query = query.where(sql<boolean>`(name, id) > (${name}, ${id})`)
  }
  if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind)
  if (filter.name !== undefined) query = query.where('name', '=', filter.name)
  return query.execute()
}

/** Writes the app's next version. */
export function updateApp(
  trx: Tx,
  id: string,
  set: Partial<Pick<App, 'name' | 'identifier' | 'revision' | 'released_revision'>>,
  now: Date,
): Promise<App> {
  return trx
    .updateTable('apps')
    .set((eb) => ({ ...set, version: eb('version', '+', 1), updated_at: now }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/**
 * Notes the bundle identifier of an app that had none; false when it has one, or a device gives it that of another app: what one
 * device says takes nothing away from the others.
 */
export async function noteIdentifier(db: Queries, id: string, identifier: string): Promise<boolean> {
  const done = await db
    .updateTable('apps')
    .set({ identifier })
    .where('id', '=', id)
    .where('identifier', 'is', null)
    .where(
      sql<boolean>`not exists (select from apps o where o.identifier = ${identifier} and o.id <> apps.id
        and (o.itunes_store_id is null or o.itunes_store_id is distinct from apps.itunes_store_id))`,
    )
    .executeTakeFirst()
  return done.numUpdatedRows > 0n
}

/** Removes an app with its revisions and packages. */
export async function deleteApp(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('apps').where('id', '=', id).execute()
}

/** These revisions, as far as they are there. */
export async function findRevisionRows(db: Queries, names: readonly RevisionName[]): Promise<AppRevision[]> {
  if (names.length === 0) return []
  const ids = names.map(({ id }) => id)
  const revisions = names.map(({ revision }) => revision)
  const rows = await db
    .selectFrom('app_revisions')
    .selectAll()
    .where(
      sql<boolean>`(app_id, revision) in (select * from unnest(${ids}::text[], ${revisions}::integer[]))`,
    )
    .execute()
  return withPackages(db, rows)
}

/** The revisions of an app, the newest first, those older than `before`. */
export async function listRevisions(
  db: Queries,
  id: string,
  query: { limit: number; before: number | undefined },
): Promise<AppRevision[]> {
  const rows = await db
    .selectFrom('app_revisions')
    .selectAll()
    .where('app_id', '=', id)
    .$if(query.before !== undefined, (some) => some.where('revision', '<', query.before ?? 0))
    .orderBy('revision', 'desc')
    .limit(query.limit)
    .execute()
  return withPackages(db, rows)
}

async function withPackages(
  db: Queries,
  rows: readonly Selectable<AppRevisionsTable>[],
): Promise<AppRevision[]> {
  const ids = [...new Set(rows.flatMap(({ package_id }) => package_id ?? []))]
  const packages = ids.length === 0 ? [] : await packagesWith(db, ids)
  const byId = new Map(packages.map((each) => [each.id, each]))
  return rows.map((row) => ({
    ...row,
    options: row.options as unknown as AppOptions,
    package: byId.get(row.package_id ?? '') ?? null,
  }))
}

function packagesWith(db: Queries, ids: readonly string[]): Promise<AppPackage[]> {
  return db
    .selectFrom('app_packages')
    .selectAll()
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
}
