import { sql, type RawBuilder } from 'kysely'
import type { Tx } from '../transaction.ts'

// Which devices something concerns, asked and written down in one statement, however many they are.

/** Asks for visits of those that there are, whatever was asked before; a change that is asked for stays asked for. */
export async function need(
  trx: Tx,
  ids: readonly string[],
  asked: Asked & { changeId: string | null },
): Promise<void> {
  if (ids.length === 0) return
  await needOf(trx, sql`select id from enrollments where id = any(${ids}::text[])`, asked)
}

interface Asked {
  cause: string
  now: Date
}

async function needOf(
  trx: Tx,
  ids: RawBuilder<unknown>,
  { cause, changeId = null, now }: Asked & { changeId?: string | null },
): Promise<void> {
  await sql`
    insert into delivery_needs (enrollment_id, cause, change_id, asked_at)
    select distinct id, ${cause}, ${changeId}, ${now}::timestamptz from (${ids}) as t (id) where id is not null order by id
    on conflict (enrollment_id) do update set
      cause = excluded.cause, change_id = coalesce(excluded.change_id, delivery_needs.change_id)`.execute(trx)
}

/** The devices of these channels. */
export function needOfChannels(trx: Tx, ids: readonly string[], asked: Asked): Promise<void> {
  return needOf(
    trx,
    sql`select coalesce(parent_id, id) from enrollments where id = any(${ids}::text[])`,
    asked,
  )
}

/** Those of the devices of these channels that have, or are to have, anything: to others it does not matter what they list. */
export function needOfHolders(trx: Tx, ids: readonly string[], asked: Asked): Promise<void> {
  return needOf(
    trx,
    sql`
      select coalesce(parent_id, id) from enrollments e
      where id = any(${ids}::text[])
        and exists (select from deliveries d where d.enrollment_id = coalesce(e.parent_id, e.id))`,
    asked,
  )
}

/** The devices that are in a group, or may be. */
export function needOfGroup(
  trx: Tx,
  groupId: string,
  { changeId, now }: { changeId: string; now: Date },
): Promise<void> {
  const ids = sql`select enrollment_id from group_members where group_id = ${groupId}`
  return needOf(trx, ids, { cause: 'contents', changeId, now })
}

/** The devices that have a thing, or are to have it. */
export function needOfThing(
  trx: Tx,
  kind: 'profile' | 'app',
  id: string,
  asked: Asked & { changeId?: string | null },
): Promise<void> {
  return needOf(
    trx,
    sql`select enrollment_id from deliveries where kind = ${kind} and thing_id = ${id}`,
    asked,
  )
}

/** The devices of which a profile or an app is rendered with a variable. */
export function needOfVariable(trx: Tx, variable: string, asked: Asked): Promise<void> {
  return needOf(
    trx,
    sql`
      select d.enrollment_id from deliveries d join profile_revisions r
        on r.profile_id = d.thing_id and r.revision = d.revision
      where d.kind = 'profile' and r.facts -> 'variables' ? ${variable}
      union all
      select d.enrollment_id from deliveries d join app_revisions r on r.app_id = d.thing_id and r.revision = d.revision
      where d.kind = 'app' and position(${variable} in (r.options -> 'configuration')::text) > 0`,
    asked,
  )
}

/** The devices of a person that have deliveries. */
export function needOfUser(trx: Tx, userId: string, asked: Asked): Promise<void> {
  return needOf(
    trx,
    sql`select e.id from enrollments e join delivery_devices d on d.enrollment_id = e.id where e.user_id = ${userId}`,
    asked,
  )
}

/** The devices of a policy that have deliveries. */
export function needOfPolicy(trx: Tx, policyId: string, asked: Asked): Promise<void> {
  return needOf(
    trx,
    sql`select e.id from enrollments e join delivery_devices d on d.enrollment_id = e.id where e.policy_id = ${policyId}`,
    asked,
  )
}

/** Has a row made for those of these devices that there are, by which a visit holds them. */
export async function addDevices(trx: Tx, ids: readonly string[]): Promise<void> {
  await sql`
    insert into delivery_devices (enrollment_id, generation)
    select e.id, 0 from enrollments e where e.id = any(${ids}::text[])
      and not exists (select from delivery_devices d where d.enrollment_id = e.id)
    order by e.id on conflict do nothing`.execute(trx)
}
