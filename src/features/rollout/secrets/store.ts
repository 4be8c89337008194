import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { SecretsTable } from '../../../db/tables/rollout.ts'

/** What is known of a secret without its value. */
export type Secret = Omit<Selectable<SecretsTable>, 'value'>

const KNOWN = ['name', 'version', 'created_at', 'updated_at'] as const

/** Keeps others from changing the secret of this name until the transaction ends, be it there or not. */
export async function lockSecretName(trx: Tx, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`secrets:${name}`}, 0))`.execute(trx)
}

/** The secret with its sealed value. */
export function findSecret(db: Queries, name: string): Promise<Selectable<SecretsTable> | undefined> {
  return db.selectFrom('secrets').selectAll().where('name', '=', name).executeTakeFirst()
}

/** Those of these names that there are, with their sealed values. */
export async function findSecrets(
  db: Queries,
  names: readonly string[],
): Promise<Selectable<SecretsTable>[]> {
  if (names.length === 0) return []
  return db
    .selectFrom('secrets')
    .selectAll()
    .where(sql<boolean>`name = any(${names}::text[])`)
    .execute()
}

/** The versions of all secrets, by name. */
export async function listSecretVersions(db: Queries): Promise<Pick<Secret, 'name' | 'version'>[]> {
  return db.selectFrom('secrets').select(['name', 'version']).execute()
}

/** Writes a value, with a version of its own. */
export function upsertSecret(trx: Tx, name: string, value: Buffer, now: Date): Promise<Secret> {
  return trx
    .insertInto('secrets')
    .values({ name, value, created_at: now, updated_at: now })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((eb) => ({
        value: eb.ref('excluded.value'),
        version: eb.ref('excluded.version'),
        updated_at: now,
      })),
    )
    .returning(KNOWN)
    .executeTakeFirstOrThrow()
}

/** Removes a secret. */
export async function deleteSecret(trx: Tx, name: string): Promise<void> {
  await trx.deleteFrom('secrets').where('name', '=', name).execute()
}

/** Secrets by name, from after `after`. */
export function listSecrets(
  db: Queries,
  query: { limit: number; after?: string | undefined },
): Promise<Secret[]> {
  return db
    .selectFrom('secrets')
    .select(KNOWN)
    .where('name', '>', query.after ?? '')
    .orderBy('name')
    .limit(query.limit)
    .execute()
}
