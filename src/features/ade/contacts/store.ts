import { sql, type Kysely } from 'kysely'
import { withoutNul, type Database } from '../../../db/index.ts'

type Reader = Kysely<Database>

/** Whose devices enrol at an address, by the key in it. */
export type AddressKey = { key: string; policyId: string; adeServerId: string }

/** What decides whether a serial number may enrol at an address. */
export type Assignment = {
  serial_number: string
  ade_server_id: string | null
  policy_id: string | null
  blocked_at: Date | null
  released_at: Date | null
  removed_at: Date | null
}

/** The addresses with these keys; unknown ones are left out. */
export function findKeys(db: Reader, keys: readonly string[]): Promise<AddressKey[]> {
  return db
    .selectFrom('ade_profiles')
    .select(['key', 'policy_id as policyId', 'ade_server_id as adeServerId'])
    .where(sql<boolean>`key = any(${withoutNul(keys)}::text[])`)
    .execute()
}

/** What is known of these serial numbers; unknown ones are left out. */
export function findAssignments(db: Reader, serials: readonly string[]): Promise<Assignment[]> {
  return db
    .selectFrom('ade_devices')
    .select(['serial_number', 'ade_server_id', 'policy_id', 'blocked_at', 'released_at', 'removed_at'])
    .where(sql<boolean>`serial_number = any(${withoutNul(serials)}::text[])`)
    .execute()
}

/** The names of the servers that give their new devices this policy. */
export async function serversDefaultingTo(db: Reader, policyId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('ade_servers')
    .select('name')
    .where('default_policy_id', '=', policyId)
    .orderBy('name')
    .execute()
  return rows.map(({ name }) => name)
}
