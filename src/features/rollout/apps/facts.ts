import type { Queries } from '../../../db/index.ts'
import { compareVersions } from '../../../protocol/ade/index.ts'
import { variablesOf } from './options.ts'
import { type App, type AppPackage, type AppRevision, findApps, findRevisionRows } from './store.ts'
import type { AppFacts, RevisionName } from './types.ts'

/** Facts of revisions that are kept in memory. */
const MOST_KEPT = 2_000

/** Where devices fetch the manifest of a package, whoever asks where. */
function manifestUrlOf(publicUrl: string, { key }: Pick<AppPackage, 'key'>): string {
  return `${publicUrl}/apps/${key}/manifest.plist`
}

/** Where they fetch the package. */
export function packageUrlOf(publicUrl: string, { key }: Pick<AppPackage, 'key'>): string {
  return `${publicUrl}/apps/${key}/app.ipa`
}

/**
 * Finds facts of stored revisions, in the order asked for; those that are not there are left out. As a revision never changes,
 * facts are kept in memory.
 */
export function createRevisionFacts(publicUrl: string) {
  const kept = new Map<string, AppFacts>()

  function keep(facts: AppFacts): void {
    const [oldest] = kept.size >= MOST_KEPT ? kept.keys() : []
    if (oldest !== undefined) kept.delete(oldest)
    kept.set(keyOf(facts), facts)
  }

  return async (db: Queries, names: readonly RevisionName[]): Promise<AppFacts[]> => {
    const found = new Map<string, AppFacts>()
    const unknown = names.filter((name) => {
      const facts = kept.get(keyOf(name))
      if (facts !== undefined) found.set(keyOf(name), facts)
      return facts === undefined
    })
    const revisions = await findRevisionRows(db, unknown)
    const apps = await findApps(db, [...new Set(revisions.map(({ app_id }) => app_id))])
    for (const revision of revisions) {
      const app = apps.get(revision.app_id)
      if (app === undefined) continue
      const facts = factsOf(app, revision, publicUrl)
      found.set(keyOf(facts), facts)
      // What may be learned later is read again.
      if (facts.identifier !== null) keep(facts)
    }
    return names.flatMap((name) => found.get(keyOf(name)) ?? [])
  }
}

function keyOf({ id, revision }: RevisionName): string {
  return `${id}:${revision}`
}

/** What the delivery of a revision depends on. */
function factsOf(
  app: Pick<App, 'id' | 'kind' | 'itunes_store_id' | 'identifier'>,
  revision: AppRevision,
  publicUrl: string,
): AppFacts {
  const { package: own, options } = revision
  return {
    id: app.id,
    revision: revision.revision,
    kind: app.kind,
    itunes_store_id: app.itunes_store_id,
    identifier: own?.identifier ?? app.identifier,
    manifest_url: own === null ? revision.manifest_url : manifestUrlOf(publicUrl, own),
    hosted: own && {
      package_id: own.id,
      version: own.version,
      short_version: own.short_version,
      platforms: own.platforms,
    },
    min_os_version: greater(options.min_os_version, own?.min_os_version ?? null),
    options,
    variables: variablesOf(options.configuration),
  }
}

function greater(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b
  return compareVersions(a, b) >= 0 ? a : b
}
