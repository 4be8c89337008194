import { sql, type RawBuilder } from 'kysely'
import type { Database } from '../tables/index.ts'
import type { Kysely } from 'kysely'
import { withoutNul } from '../values.ts'

// What devices told of themselves, for those slices that show devices or look for them.

/** What a list of devices may be narrowed to by what they told; flags are those of the columns. */
export interface DetailsFilter {
  /** An IMEI, MEID, ICCID, EID, phone number or hardware address. */
  identifier?: string
  passcode_present?: boolean
  file_vault_enabled?: boolean
  activation_lock_enabled?: boolean
  cloud_backup_enabled?: boolean
  /** The identifier of an app that is installed. */
  app?: string
  /** The identifier of a profile. */
  profile?: string
}

const FLAGS = [
  'passcode_present',
  'file_vault_enabled',
  'activation_lock_enabled',
  'cloud_backup_enabled',
] as const satisfies (keyof DetailsFilter)[]

/** A condition on rows of `enrollments` that are called `e`: that they told this. */
export function toldThis(filter: DetailsFilter): RawBuilder<boolean> {
  const conditions = [sql`true`]
  const ofDetails = FLAGS.flatMap((name) =>
    filter[name] === undefined ? [] : [sql`d.${sql.ref(name)} = ${filter[name]}`],
  )
  if (filter.identifier !== undefined) ofDetails.push(hasTerm(filter.identifier))
  if (ofDetails.length > 0)
    conditions.push(sql`exists (
      select from device_details d where d.enrollment_id = e.id and ${sql.join(ofDetails, sql` and `)})`)
  if (filter.app !== undefined)
    conditions.push(sql`exists (
      select from device_apps a
      where a.identifier = ${withoutNul(filter.app)} and a.enrollment_id = e.id and a.is_installed)`)
  if (filter.profile !== undefined)
    conditions.push(sql`exists (
      select from device_profiles p
      where p.identifier = ${withoutNul(filter.profile)} and p.enrollment_id = e.id)`)
  return sql<boolean>`(${sql.join(conditions, sql` and `)})`
}

/** A condition on rows of `enrollments` that are called `e`: that this is an identifier of theirs. */
export function isIdentifiedBy(identifier: string): RawBuilder<boolean> {
  return sql<boolean>`exists (select from device_details d where d.enrollment_id = e.id and ${hasTerm(identifier)})`
}

function hasTerm(identifier: string) {
  return sql`d.search_terms @> array[${searchTermOf(identifier)}::text]`
}

/** An identifier as it is looked for: without blanks and punctuation, in lower case. */
export function searchTermOf(identifier: string): string {
  return identifier.toLowerCase().replaceAll(/[^0-9a-z+]/g, '')
}

/** The facts that a device told, and when it last told something new. */
export async function findFacts(
  db: Kysely<Database>,
  enrollmentId: string,
): Promise<{ facts: Record<string, unknown>; updated_at: Date } | undefined> {
  const { rows } = await sql<{ facts: Record<string, unknown>; updated_at: Date }>`
    select facts, updated_at from device_details where enrollment_id = ${enrollmentId} and facts <> '{}'`.execute(
    db,
  )
  return rows[0]
}
