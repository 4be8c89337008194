import { sql, type Selectable } from 'kysely'
import { withoutNul, type Queries, type Tx } from '../../../db/index.ts'
import type { AdeCallsTable, AdeProfilesTable } from '../../../db/tables/ade.ts'
import { LIVE } from '../devices/store.ts'

/** What a policy is at Apple on one server. */
export type ProfileRow = Selectable<AdeProfilesTable>

/** A change at Apple whose outcome is not written down yet. */
export type CallRow = Selectable<AdeCallsTable>

const UNSETTLED = sql`d.assignment_state in ('pending', 'throttled', 'failed') and d.removed_at is null
  and d.released_at is null`

// Profiles

/** What is known at Apple of the policies of a server. */
export function listProfiles(db: Queries, serverId: string): Promise<ProfileRow[]> {
  return db.selectFrom('ade_profiles').selectAll().where('ade_server_id', '=', serverId).execute()
}

/** The row of a policy and server, made with `key` when there is none. */
export async function ensureProfile(
  db: Queries,
  place: { serverId: string; policyId: string; key: string },
): Promise<ProfileRow> {
  await db
    .insertInto('ade_profiles')
    .values({ ade_server_id: place.serverId, policy_id: place.policyId, key: place.key })
    .onConflict((conflict) => conflict.columns(['ade_server_id', 'policy_id']).doNothing())
    .execute()
  return db
    .selectFrom('ade_profiles')
    .selectAll()
    .where('ade_server_id', '=', place.serverId)
    .where('policy_id', '=', place.policyId)
    .executeTakeFirstOrThrow()
}

/** The policy and server that an address belongs to. */
export function findByKey(
  db: Queries,
  key: string,
): Promise<{ policy_id: string; ade_server_id: string } | undefined> {
  return db
    .selectFrom('ade_profiles')
    .select(['policy_id', 'ade_server_id'])
    .where('key', '=', withoutNul(key))
    .executeTakeFirst()
}

/** Writes columns of a row. */
export async function noteProfile(
  db: Queries,
  { ade_server_id, policy_id }: Pick<ProfileRow, 'ade_server_id' | 'policy_id'>,
  columns: Partial<Omit<ProfileRow, 'ade_server_id' | 'policy_id' | 'key'>>,
): Promise<void> {
  await db
    .updateTable('ade_profiles')
    .set(withoutNul(columns))
    .where('ade_server_id', '=', ade_server_id)
    .where('policy_id', '=', policy_id)
    .execute()
}

/** Marks devices of a policy as to be looked at again, at most `limit` of them; how many those were. */
export async function markPending(
  db: Queries,
  place: { serverId: string; policyId: string; limit: number },
): Promise<number> {
  const result = await sql`
    update ade_devices set assignment_state = 'pending', assignment_retry_at = null, assignment_attempts = 0,
      assignment_error = null
    where serial_number in (
      select d.serial_number from ade_devices d
      where d.ade_server_id = ${place.serverId} and d.policy_id = ${place.policyId} and d.removed_at is null
        and d.released_at is null and (d.assignment_state is null or d.assignment_state in ('assigned', 'failed'))
      limit ${place.limit} for update)`.execute(db)
  return Number(result.numAffectedRows ?? 0n)
}

// Devices that are to be assigned

/** The policies whose devices wait and are due; null among them: those that are to have none. */
export async function duePolicies(db: Queries, serverId: string, now: Date): Promise<(string | null)[]> {
  const { rows } = await sql<{ policy_id: string | null }>`
    select distinct d.policy_id from ade_devices d
    where d.ade_server_id = ${serverId} and ${UNSETTLED}
      and (d.assignment_retry_at is null or d.assignment_retry_at <= ${now})`.execute(db)
  return rows.map(({ policy_id }) => policy_id)
}

/** Whether a server has something to be done at Apple, or to be found out. */
export async function hasWork(db: Queries, serverId: string, now: Date): Promise<boolean> {
  const { rows } = await sql<{ has_work: boolean }>`
    select exists (select 1 from ade_calls where ade_server_id = ${serverId})
      or exists (select 1 from ade_devices d where d.ade_server_id = ${serverId} and ${UNSETTLED}
        and (d.assignment_retry_at is null or d.assignment_retry_at <= ${now})) as has_work`.execute(db)
  return rows[0]?.has_work === true
}

/** Serial numbers of a policy (null: of none) that wait and are due. */
export async function takeDue(
  db: Queries,
  place: { serverId: string; policyId: string | null; now: Date; limit: number },
): Promise<string[]> {
  const { rows } = await sql<{ serial_number: string }>`
    select d.serial_number from ade_devices d
    where d.ade_server_id = ${place.serverId} and d.policy_id is not distinct from ${place.policyId}::text
      and ${UNSETTLED} and (d.assignment_retry_at is null or d.assignment_retry_at <= ${place.now})
    limit ${place.limit}`.execute(db)
  return rows.map(({ serial_number }) => serial_number)
}

/**
 * Settles without a call what is already as it should be: with this profile, or (null) with none. A pause that Apple
 * asked for is waited out first, or it would be forgotten before the next policy comes.
 */
export async function settle(
  db: Queries,
  place: { serverId: string; policyId: string | null; profileUuid: string | null; now: Date },
): Promise<number> {
  const isRight =
    place.profileUuid === null
      ? sql`(d.apple_profile_uuid is null or d.apple_profile_status in ('empty', 'removed'))`
      : sql`upper(replace(d.apple_profile_uuid, '-', '')) = upper(replace(${place.profileUuid}, '-', ''))
          and coalesce(d.apple_profile_status, 'assigned') in ('assigned', 'pushed')`
  const result = await sql`
    update ade_devices d set assignment_state = ${place.profileUuid === null ? null : 'assigned'}::text,
      assignment_retry_at = null, assignment_attempts = 0, assignment_error = null, updated_at = ${place.now}
    where d.ade_server_id = ${place.serverId} and d.policy_id is not distinct from ${place.policyId}::text
      and ${UNSETTLED} and ${isRight}
      and (d.assignment_state <> 'throttled' or d.assignment_retry_at is null
        or d.assignment_retry_at <= ${place.now})`.execute(db)
  return Number(result.numAffectedRows ?? 0n)
}

/** What a call came to for one device. */
export interface Outcome {
  serial: string
  state: 'done' | 'failed' | 'throttled'
  retryAt: Date | null
  error: string | null
}

/**
 * Writes down what came of a call that gave devices a profile, or (null) took it from them. One that got another policy
 * in the meantime goes on waiting.
 */
export async function noteOutcomes(
  trx: Tx,
  place: { policyId: string | null; profileUuid: string | null; now: Date },
  outcomes: readonly Outcome[],
): Promise<void> {
  if (outcomes.length === 0) return
  const { policyId, profileUuid, now } = place
  const status = profileUuid === null ? 'removed' : 'assigned'
  const settled = profileUuid === null ? null : 'assigned'
  await sql`
    update ade_devices d set
      apple_profile_uuid = case when o.state = 'done' then ${profileUuid}::text else d.apple_profile_uuid end,
      apple_profile_status = case when o.state = 'done' then ${status}::text else d.apple_profile_status end,
      assigned_at = case when o.state = 'done' then ${now}::timestamptz else d.assigned_at end,
      assignment_state = case when o.state = 'throttled' then 'throttled'
        when d.policy_id is distinct from ${policyId}::text then d.assignment_state
        when o.state = 'done' then ${settled}::text else o.state end,
      assignment_retry_at = case when o.state = 'throttled' then o.retry_at
        when d.policy_id is distinct from ${policyId}::text then d.assignment_retry_at else o.retry_at end,
      assignment_attempts = case when o.state = 'failed' then d.assignment_attempts + 1 else 0 end,
      assignment_error = case when d.policy_id is distinct from ${policyId}::text then d.assignment_error
        else o.error end,
      updated_at = ${now}::timestamptz
    from unnest(${outcomes.map(({ serial }) => serial)}::text[], ${outcomes.map(({ state }) => state)}::text[],
      ${outcomes.map(({ retryAt }) => retryAt)}::timestamptz[],
      ${outcomes.map(({ error }) => withoutNul(error))}::text[]) as o (serial, state, retry_at, error)
    where d.serial_number = o.serial and case when d.removed_at is null then d.released_at is null end`.execute(
    trx,
  )
}

/** How often the assignment of each of these has failed. */
export async function failuresOf(db: Queries, serials: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await sql<{ serial_number: string; assignment_attempts: number }>`
    select serial_number, assignment_attempts from ade_devices
    where serial_number = any(${serials}::text[])`.execute(db)
  return new Map(rows.map((row) => [row.serial_number, row.assignment_attempts]))
}

/** Writes down which profiles Apple says that devices have. */
export async function noteSeen(
  trx: Tx,
  seen: readonly { serial: string; profileUuid: string | null; status: string | null }[],
  asOf: Date,
): Promise<void> {
  if (seen.length === 0) return
  await sql`
    update ade_devices d set apple_profile_uuid = s.uuid, apple_profile_status = s.status, apple_seen_at = ${asOf}
    from unnest(${seen.map(({ serial }) => serial)}::text[], ${seen.map((s) => s.profileUuid)}::text[],
      ${seen.map(({ status }) => status)}::text[]) as s (serial, uuid, status)
    where d.serial_number = s.serial`.execute(trx)
}

// Calls

/** The change of a server that may or may not have been made. */
export function findCall(db: Queries, serverId: string): Promise<CallRow | undefined> {
  return db.selectFrom('ade_calls').selectAll().where('ade_server_id', '=', serverId).executeTakeFirst()
}

/** Writes down what is about to be changed. */
export async function insertCall(
  trx: Tx,
  call: Omit<CallRow, 'profile'> & { profile: object | null },
): Promise<void> {
  const profile = call.profile === null ? null : JSON.stringify(withoutNul(call.profile))
  await trx
    .insertInto('ade_calls')
    .values({ ...call, profile })
    .execute()
}

/** Its outcome is known. */
export async function deleteCall(trx: Tx, serverId: string): Promise<void> {
  await trx.deleteFrom('ade_calls').where('ade_server_id', '=', serverId).execute()
}

// What administrators ask for

/** A serial number that was asked for, with the policy it has; undefined columns: it is not live, or not known. */
export async function findLive(
  db: Queries,
  serials: readonly string[],
): Promise<Map<string, { policyId: string | null; live: boolean }>> {
  const { rows } = await sql<{ serial_number: string; policy_id: string | null; live: boolean }>`
    select d.serial_number, d.policy_id, ${LIVE} as live
    from ade_devices d where d.serial_number = any(${withoutNul([...serials])}::text[])`.execute(db)
  return new Map(rows.map((row) => [row.serial_number, { policyId: row.policy_id, live: row.live }]))
}

/** Which devices a change is about: these serial numbers, or all of a server. */
export type Selection = { serials: readonly string[] } | { serverId: string }

function selected(selection: Selection) {
  return 'serials' in selection
    ? sql`d.serial_number = any(${selection.serials}::text[])`
    : sql`d.ade_server_id = ${selection.serverId}`
}

// Apple's pause holds whatever the policy.
const WAITING = sql`assignment_state = case when d.assignment_state = 'throttled' then 'throttled' else 'pending' end,
  assignment_retry_at = case when d.assignment_state = 'throttled' then d.assignment_retry_at end,
  assignment_attempts = 0, assignment_error = null`

/** How many live devices would get a policy, and how many have it. */
export async function countPolicy(
  trx: Tx,
  selection: Selection,
  policyId: string,
): Promise<{ changed: number; unchanged: number }> {
  const { rows } = await sql<{ changed: number; unchanged: number }>`
    select count(*) filter (where d.policy_id is distinct from ${policyId}) as changed,
      count(*) filter (where d.policy_id = ${policyId}) as unchanged
    from ade_devices d where ${selected(selection)} and ${LIVE}`.execute(trx)
  return rows[0]!
}

/** The serial numbers of live devices that have no policy. */
export async function findWithoutPolicy(trx: Tx, selection: Selection): Promise<string[]> {
  const { rows } = await sql<{ serial_number: string }>`
    select d.serial_number from ade_devices d
    where ${selected(selection)} and ${LIVE} and d.policy_id is null`.execute(trx)
  return rows.map(({ serial_number }) => serial_number)
}

/** Gives live devices a policy; one that had it and failed is tried again at once. */
export async function setPolicy(
  trx: Tx,
  selection: Selection,
  policyId: string,
  now: Date,
): Promise<{ changed: number; unchanged: number }> {
  const given = await sql`
    update ade_devices d set policy_id = ${policyId}, ${WAITING}, updated_at = ${now},
      policy_set_at = case when d.policy_id is null then ${now}::timestamptz else d.policy_set_at end,
      policy_judged_at = case when d.policy_id is null then null else d.policy_judged_at end
    where ${selected(selection)} and ${LIVE} and d.policy_id is distinct from ${policyId}`.execute(trx)
  const changed = Number(given.numAffectedRows ?? 0n)
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from ade_devices d
    where ${selected(selection)} and ${LIVE} and d.policy_id = ${policyId}`.execute(trx)
  await sql`
    update ade_devices d set assignment_state = 'pending', assignment_retry_at = null
    where ${selected(selection)} and ${LIVE} and d.policy_id = ${policyId}
      and d.assignment_state = 'failed'`.execute(trx)
  return { changed, unchanged: (rows[0]?.count ?? 0) - changed }
}

/** Takes a policy from the live devices that have it; how many had. */
export async function clearPolicy(
  trx: Tx,
  selection: Selection,
  policyId: string,
  now: Date,
): Promise<number> {
  const result = await sql`
    update ade_devices d set policy_id = null, ${WAITING}, policy_set_at = null, policy_judged_at = null,
      updated_at = ${now}
    where ${selected(selection)} and ${LIVE} and d.policy_id = ${policyId}`.execute(trx)
  return Number(result.numAffectedRows ?? 0n)
}

/** Nothing of what is known of the profiles of a server holds any more. */
export async function forgetProfiles(trx: Tx, serverId: string): Promise<void> {
  await deleteCall(trx, serverId)
  await trx
    .updateTable('ade_profiles')
    .set({
      defined_hash: null,
      profile_uuid: null,
      defined_at: null,
      retry_at: null,
      attempts: 0,
      error: null,
    })
    .where('ade_server_id', '=', serverId)
    .execute()
  await sql`
    update ade_devices d set apple_profile_uuid = null, apple_profile_status = null, assigned_at = null,
      assignment_state = case when d.policy_id is null then null else 'pending' end, assignment_retry_at = null,
      assignment_error = null
    where d.ade_server_id = ${serverId} and ${LIVE}`.execute(trx)
}
