import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { ProfileRevisionsTable, ProfilesTable } from '../../../db/tables/rollout.ts'
import type { ProfileContent, ProfileSigner } from '../../../protocol/mobileconfig/index.ts'

/** A configuration profile. */
export type Profile = Selectable<ProfilesTable>

/** What may be worth knowing of a profile, and where it is. */
export interface Warning {
  path: string
  message: string
}

/** What is known of a revision, without its content. */
export interface Revision {
  profile_id: string
  revision: number
  size: number
  facts: Omit<ProfileContent, 'needed'> & Partial<Pick<ProfileContent, 'needed'>>
  signer: ProfileSigner | null
  warnings: readonly Warning[]
  created_at: Date
}

/** A revision by its profile and number. */
export interface RevisionKey {
  id: string
  revision: number
}

type RevisionRow = Omit<Selectable<ProfileRevisionsTable>, 'content'>

const KNOWN = ['profile_id', 'revision', 'size', 'facts', 'signer', 'warnings', 'created_at'] as const

/** Adds a profile. */
export function insertProfile(
  trx: Tx,
  profile: Pick<Profile, 'id' | 'name' | 'identifier' | 'scope' | 'revision' | 'released_revision'>,
  now: Date,
): Promise<Profile> {
  return trx
    .insertInto('profiles')
    .values({ ...profile, created_at: now, updated_at: now })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Adds a revision, with the secrets that it names. */
export async function insertRevision(
  trx: Tx,
  revision: Revision & { content: Buffer; secretNames: readonly string[] },
): Promise<void> {
  const { secretNames, facts, signer, warnings, ...rest } = revision
  await trx
    .insertInto('profile_revisions')
    .values({
      ...rest,
      facts: JSON.stringify(facts),
      signer: signer && JSON.stringify(signer),
      warnings: JSON.stringify(warnings),
    })
    .execute()
  await sql`
    insert into profile_secrets (profile_id, revision, secret_name)
    select ${revision.profile_id}, ${revision.revision}, unnest(${secretNames}::text[])`.execute(trx)
}

/** The profile with this id. */
export function findProfile(db: Queries, id: string): Promise<Profile | undefined> {
  return db.selectFrom('profiles').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The profile, kept from other changes and from new uses until the transaction ends. */
export function lockProfile(trx: Tx, id: string): Promise<Profile | undefined> {
  return trx.selectFrom('profiles').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Profiles by name, from after the one of this name and id. */
export function listProfiles(
  db: Queries,
  query: {
    limit: number
    after?: readonly [name: string, id: string] | undefined
    name?: string
    identifier?: string
  },
): Promise<Profile[]> {
  let found = db.selectFrom('profiles').selectAll().orderBy('name').orderBy('id').limit(query.limit)
  const { after, name, identifier } = query
  if (after !== undefined) found = found.where(sql<boolean>`(name, id) > (${after[0]}, ${after[1]})`)
  if (name !== undefined) found = found.where('name', '=', name)
  if (identifier !== undefined) found = found.where('identifier', '=', identifier)
  return found.execute()
}

/** Writes the next version of a profile. */
export function updateProfile(
  trx: Tx,
  id: string,
  set: Partial<Pick<Profile, 'name' | 'revision' | 'released_revision'>>,
  now: Date,
): Promise<Profile> {
  return trx
    .updateTable('profiles')
    .set((eb) => ({ ...set, version: eb('version', '+', 1), updated_at: now }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Removes a profile with its revisions. */
export async function deleteProfile(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('profiles').where('id', '=', id).execute()
}

/** Those of these revisions that there are. */
export async function findRevisionRows(db: Queries, keys: readonly RevisionKey[]): Promise<Revision[]> {
  if (keys.length === 0) return []
  const ids = keys.map(({ id }) => id)
  const revisions = keys.map(({ revision }) => revision)
  const rows = await db
    .selectFrom('profile_revisions')
    .select(KNOWN)
    .where(
      sql<boolean>`(profile_id, revision) in (select * from unnest(${ids}::text[], ${revisions}::integer[]))`,
    )
    .execute()
  return rows.map(toRevision)
}

/** Revisions of a profile, the newest first, from before number `before`. */
export async function listRevisionRows(
  db: Queries,
  id: string,
  query: { limit: number; before?: number | undefined },
): Promise<Revision[]> {
  const rows = await db
    .selectFrom('profile_revisions')
    .select(KNOWN)
    .where('profile_id', '=', id)
    .$if(query.before !== undefined, (some) => some.where('revision', '<', query.before ?? 0))
    .orderBy('revision', 'desc')
    .limit(query.limit)
    .execute()
  return rows.map(toRevision)
}

/** What was uploaded, sealed. */
export async function findContent(db: Queries, { id, revision }: RevisionKey): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('profile_revisions')
    .select('content')
    .where('profile_id', '=', id)
    .where('revision', '=', revision)
    .executeTakeFirst()
  return row?.content
}

/** Columns of JSON hold what this file wrote. */
function toRevision(row: RevisionRow): Revision {
  return {
    ...row,
    facts: row.facts as unknown as ProfileContent,
    signer: row.signer as unknown as ProfileSigner | null,
  }
}
