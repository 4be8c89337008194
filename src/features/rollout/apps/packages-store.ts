import { sql } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { AppPackage } from './store.ts'

/** Adds a package. */
export async function insertPackage(trx: Tx, row: AppPackage): Promise<void> {
  await trx.insertInto('app_packages').values(row).execute()
}

/** The package that devices fetch under this key, if a revision names it. */
export function findPackageByKey(db: Queries, key: string): Promise<AppPackage | undefined> {
  return db.selectFrom('app_packages').selectAll().where('key', '=', key).executeTakeFirst()
}

/**
 * Of these ids, those of packages that are of use: the two newest of an app, and those of revisions that everybody gets, a rollout
 * releases, or a device is to have, was sent or has.
 */
export async function usedPackages(db: Queries, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const { rows } = await sql<{ id: string }>`
    with named as (
      select r.package_id as id, r.revision, a.id as app_id, a.released_revision
      from app_revisions r join apps a on a.id = r.app_id
      where r.package_id = any(${ids}::text[])
    ), delivered as (
      select distinct d.thing_id as app_id, v.revision
      from deliveries d
      cross join lateral (values (d.revision), (d.sent_revision), (d.there_revision)) as v (revision)
      where d.kind = 'app' and d.thing_id in (select app_id from named)
    )
    select distinct n.id from named n
    where n.revision = n.released_revision
      or n.id in (select p.id from app_packages p where p.app_id = n.app_id order by p.created_at desc, p.id desc limit 2)
      or exists (select from delivered d where d.app_id = n.app_id and d.revision = n.revision)
      or exists (select from rollouts o where o.kind = 'app' and o.thing_id = n.app_id
        and o.state in ('running', 'halted') and o.revision = n.revision)`.execute(db)
  return new Set(rows.map(({ id }) => id))
}
