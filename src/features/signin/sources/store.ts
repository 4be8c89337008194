import type { Selectable } from 'kysely'
import { jsonText, type Queries, type Tx, withoutNul } from '../../../db/index.ts'
import type { SignInSourcesTable } from '../../../db/tables/signin.ts'
import type { Source } from './types.ts'

/** What a change writes; a secret that is left out stays. */
type SourceColumns = {
  name: string
  config: Record<string, unknown>
  create_users: boolean
  links_existing_users: boolean
  client_secret?: Buffer
}

const COLUMNS = [
  'id',
  'kind',
  'name',
  'config',
  'create_users',
  'links_existing_users',
  'version',
  'created_at',
  'updated_at',
] as const

type Row = Omit<Selectable<SignInSourcesTable>, 'client_secret'>

/** The source with this id. */
export async function findSource(db: Queries, id: string): Promise<Source | undefined> {
  const row = await byId(db, id).executeTakeFirst()
  return row && toSource(row)
}

/** The same, kept from being deleted until the transaction ends. */
export async function holdSource(trx: Tx, id: string): Promise<Source | undefined> {
  const row = await byId(trx, id).forKeyShare().executeTakeFirst()
  return row && toSource(row)
}

/** The same, kept from being changed by others, or held, until the transaction ends. */
export async function lockSource(trx: Tx, id: string): Promise<Source | undefined> {
  const row = await byId(trx, id).forUpdate().executeTakeFirst()
  return row && toSource(row)
}

/** Sources by name, from after `after`. */
export async function listSources(db: Queries, limit: number, after: string | undefined): Promise<Source[]> {
  const rows = await db
    .selectFrom('sign_in_sources')
    .select(COLUMNS)
    .$if(after !== undefined, (query) => query.where('name', '>', withoutNul(after ?? '')))
    .orderBy('name')
    .limit(limit)
    .execute()
  return rows.map(toSource)
}

/** Adds a source; undefined when the name is taken. */
export async function insertSource(
  trx: Tx,
  source: SourceColumns & { id: string; kind: 'ws_trust' | 'oidc' },
  now: Date,
): Promise<Source | undefined> {
  const row = await trx
    .insertInto('sign_in_sources')
    .values({ ...source, config: jsonText(source.config), created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning(COLUMNS)
    .executeTakeFirst()
  return row && toSource(row)
}

/** Writes the source's next version. Throws a unique violation when the name is another's. */
export async function updateSource(trx: Tx, id: string, columns: SourceColumns, now: Date): Promise<Source> {
  const row = await trx
    .updateTable('sign_in_sources')
    .set((eb) => ({
      ...columns,
      config: jsonText(columns.config),
      version: eb('version', '+', 1),
      updated_at: now,
    }))
    .where('id', '=', withoutNul(id))
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  return toSource(row)
}

/** Removes a source. */
export async function deleteSource(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('sign_in_sources').where('id', '=', withoutNul(id)).execute()
}

/** The sealed client secret of a source. */
export async function findClientSecret(db: Queries, id: string): Promise<Buffer | null> {
  const query = db.selectFrom('sign_in_sources').select('client_secret').where('id', '=', withoutNul(id))
  return (await query.executeTakeFirst())?.client_secret ?? null
}

function byId(db: Queries, id: string) {
  return db.selectFrom('sign_in_sources').select(COLUMNS).where('id', '=', withoutNul(id))
}

/** `config` holds what the rules of its kind have let through. */
function toSource({ config, ...row }: Row): Source {
  return { ...row, ...config } as Source
}
