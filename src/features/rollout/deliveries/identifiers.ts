import type { Queries } from '../../../db/index.ts'
import { resultsOf } from '../../../db/statements/delivery-facts.ts'
import { readAppIdentifier } from '../../../protocol/mdm/index.ts'
import type { Row } from './store.ts'
import type { End } from './types.ts'

/** Where the identifiers of apps are kept. */
export interface IdentifierDeps {
  noteIdentifier: (db: Queries, id: string, identifier: string) => Promise<boolean>
}

/** Ends of a command whose answer may name the app. */
const NAMING: ReadonlySet<End['state'] | undefined> = new Set(['acknowledged', 'error'] as const)

/** Learns the bundle identifiers of store apps from answers to InstallApplication, where nobody knew them. */
export async function learnIdentifiers(
  db: Queries,
  { apps }: { apps: IdentifierDeps },
  rows: readonly Row[],
  ends: ReadonlyMap<string, End>,
): Promise<void> {
  const unknown = rows.filter(
    (row) =>
      row.kind === 'app' &&
      row.identifier === null &&
      NAMING.has(ends.get(`${row.target_id} ${row.command_uuid}`)?.state),
  )
  if (unknown.length === 0) return
  const results = await resultsOf(
    db,
    unknown.map((row) => ({ targetId: row.target_id ?? '', uuid: row.command_uuid ?? '' })),
  )
  for (const row of unknown) {
    const packed = results.get(`${row.target_id} ${row.command_uuid}`)
    const identifier = packed && readAppIdentifier(packed)
    if (identifier === undefined) continue
    row.identifier = identifier
    await apps.noteIdentifier(db, row.thing_id, identifier)
  }
}
