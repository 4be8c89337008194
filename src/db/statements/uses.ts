import { sql, type Kysely } from 'kysely'
import type { Database } from '../tables/index.ts'
import type { Tx } from '../transaction.ts'
import { withoutNul } from '../values.ts'

// Questions up the order of the slices: who uses a thing that somebody is about to change, name or delete. They are reads of
// the tables of others, in the place of callbacks.

type Reader = Kysely<Database>

/** The serial numbers of these devices and of the devices of these channels, as far as they have one. */
export async function serialsOf(db: Reader, enrollmentIds: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql<{ id: string; serial: string }>`
    select e.id, coalesce(e.serial_number, d.serial_number) as serial
    from enrollments e left join enrollments d on d.id = e.parent_id
    where e.id = any(${enrollmentIds}::text[]) and coalesce(e.serial_number, d.serial_number) is not null`.execute(
    db,
  )
  return new Map(rows.map(({ id, serial }) => [id, serial]))
}

/** How many devices of a user are live (from Authenticate to their end). */
export function liveDevicesOf(db: Reader, userId: string): Promise<number> {
  return count(db, sql`enrollments where user_id = ${userId} and parent_id is null and unenrolled_at is null`)
}

/** The kind of a sign-in source, which is kept from being deleted until the transaction ends; undefined when there is none. */
export async function holdSourceKind(
  trx: Tx,
  sourceId: string,
): Promise<'local' | 'ws_trust' | 'oidc' | undefined> {
  const query = trx.selectFrom('sign_in_sources').select('kind').where('id', '=', withoutNul(sourceId))
  return (await query.forKeyShare().executeTakeFirst())?.kind
}

/** Whether people sign in at the page /enroll by this source. */
export async function isSourceOfPage(db: Reader, sourceId: string): Promise<boolean> {
  return (await count(db, sql`settings where "values" ->> 'enroll_sign_in_source_id' = ${sourceId}`)) > 0
}

/** The names of the enrollment policies that name this group, or this sign-in source. */
export async function policiesNaming(
  db: Reader,
  column: 'group_id' | 'sign_in_source_id',
  id: string,
): Promise<string[]> {
  const query = db.selectFrom('enrollment_policies').select('name').where(column, '=', id)
  return (await query.orderBy('name').execute()).map(({ name }) => name)
}

/** How many serial numbers that are ours at Apple have this policy. */
export function serialNumbersWith(db: Reader, policyId: string): Promise<number> {
  return count(
    db,
    sql`ade_devices where policy_id = ${policyId} and ade_server_id is not null
      and released_at is null and removed_at is null`,
  )
}

/** The names of the ADE servers whose new serial numbers get this policy. */
export async function serversGiving(db: Reader, policyId: string): Promise<string[]> {
  const query = db.selectFrom('ade_servers').select('name').where('default_policy_id', '=', policyId)
  return (await query.orderBy('name').execute()).map(({ name }) => name)
}

async function count(db: Reader, rows: ReturnType<typeof sql>): Promise<number> {
  const found = await sql<{ count: number }>`select count(*) as count from ${rows}`.execute(db)
  return found.rows[0]?.count ?? 0
}
