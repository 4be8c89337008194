import type { Selectable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { EnrollmentPoliciesTable } from '../../db/tables/enrollment-policies.ts'
import { adeWithDefaults } from './defaults.ts'
import type { Policy, PolicyFields } from './schema.ts'

/** Adds a policy; undefined when its name is taken. */
export async function insertPolicy(
  trx: Tx,
  id: string,
  fields: PolicyFields,
  now: Date,
): Promise<Policy | undefined> {
  const row = await trx
    .insertInto('enrollment_policies')
    .values({ ...fields, ade: JSON.stringify(fields.ade), id, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst()
  return row && toPolicy(row)
}

/** The policy with this id. */
export async function findPolicy(db: Queries, id: string): Promise<Policy | undefined> {
  const row = await byId(db, id).executeTakeFirst()
  return row && toPolicy(row)
}

/** The policy, kept from other changes and from new uses until the transaction ends. */
export async function lockPolicy(trx: Tx, id: string): Promise<Policy | undefined> {
  const row = await byId(trx, id).forUpdate().executeTakeFirst()
  return row && toPolicy(row)
}

/** The policy, kept as it is until the transaction ends; others may hold it too. */
export async function holdPolicy(trx: Tx, id: string): Promise<Policy | undefined> {
  const row = await byId(trx, id).forShare().executeTakeFirst()
  return row && toPolicy(row)
}

/** Policies by name, from after `after`; with `name` the one of that name. */
export async function listPolicies(
  db: Queries,
  query: { limit: number; after: string | undefined; name: string | undefined },
): Promise<Policy[]> {
  const rows = await db
    .selectFrom('enrollment_policies')
    .selectAll()
    .$if(query.name !== undefined, (some) => some.where('name', '=', query.name ?? ''))
    .$if(query.after !== undefined, (some) => some.where('name', '>', query.after ?? ''))
    .orderBy('name')
    .limit(query.limit)
    .execute()
  return rows.map(toPolicy)
}

/** Writes the policy's next version. Throws a unique violation when the name is another's. */
export async function updatePolicy(trx: Tx, id: string, fields: PolicyFields, now: Date): Promise<Policy> {
  const row = await trx
    .updateTable('enrollment_policies')
    .set((eb) => ({
      ...fields,
      ade: JSON.stringify(fields.ade),
      version: eb('version', '+', 1),
      updated_at: now,
    }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
  return toPolicy(row)
}

/** Removes a policy. */
export async function deletePolicy(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('enrollment_policies').where('id', '=', id).execute()
}

function byId(db: Queries, id: string) {
  return db.selectFrom('enrollment_policies').selectAll().where('id', '=', id)
}

/** A policy that an older version stored lacks what has come since. */
function toPolicy(row: Selectable<EnrollmentPoliciesTable>): Policy {
  return { ...row, ade: adeWithDefaults(row.ade) }
}
