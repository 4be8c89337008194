import type { Leases, Tx } from '../../../db/index.ts'
import { type AdeError, type DeviceResult } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import type { Apple } from '../servers/apple.ts'
import { SERIALS_PER_CALL, createCalls, type Calls } from './calls.ts'
import { createOutcomes, retryAt, type Outcomes } from './outcomes.ts'
import { createRecovery } from './recovery.ts'
import { createRendering, type Wanted } from './rendering.ts'
import * as store from './store.ts'

/** Brings what Apple has for one server to what is wanted, as far as it is due. */
export function createAssigner(
  deps: AdeDeps & { apple: Apple; leases: Leases<'ade_servers'>; isClosing: () => boolean },
) {
  const { db, clock } = deps
  const calls = createCalls(deps)
  const outcomes = createOutcomes(deps)
  const rendering = createRendering(deps)
  const recover = createRecovery({ ...deps, calls, outcomes })
  const { define, give, take } = createChanges({ ...deps, calls, outcomes })

  /** Goes through the due devices of a policy, a thousand at a time. */
  async function eachChunk(
    place: { serverId: string; policyId: string | null },
    act: (serials: string[]) => Promise<'go on' | 'stop'>,
  ): Promise<void> {
    for (;;) {
      if (deps.isClosing()) return
      const serials = await store.takeDue(db.kysely, { ...place, now: clock.now(), limit: SERIALS_PER_CALL })
      if (serials.length === 0 || (await act(serials)) === 'stop') return
    }
  }

  async function unassign(serverId: string, policyId: string | null): Promise<void> {
    const place = { serverId, policyId }
    await store.settle(db.kysely, { ...place, profileUuid: null, now: clock.now() })
    await eachChunk(place, async (serials) => {
      await take(serverId, policyId, serials)
      return 'go on'
    })
  }

  async function assign(serverId: string, policyId: string, wanted: Wanted): Promise<void> {
    const isDefined = ({ row, hash }: Wanted) => row.defined_hash?.equals(hash) === true
    const place = { serverId, policyId }
    if (isDefined(wanted) && wanted.row.profile_uuid !== null) {
      const { profile_uuid: profileUuid } = wanted.row
      await store.settle(db.kysely, { ...place, profileUuid, now: clock.now() })
    }
    await eachChunk(place, async (serials) => {
      const present = await rendering.wanted(serverId, policyId)
      if (present === undefined) return 'stop'
      const { row } = present
      if (row.retry_at !== null && row.retry_at > clock.now()) return 'stop'
      await (isDefined(present) ? give(row, serials) : define(present, serials))
      return 'go on'
    })
  }

  return async function pass(serverId: string, options: { refresh: boolean }): Promise<void> {
    await recover(serverId)
    if (options.refresh) await rendering.refresh(serverId)
    for (const policyId of await store.duePolicies(db.kysely, serverId, clock.now())) {
      const wanted = policyId === null ? undefined : await rendering.wanted(serverId, policyId)
      if (policyId === null || wanted === undefined) await unassign(serverId, policyId)
      else await assign(serverId, policyId, wanted)
    }
  }
}

/** The changes at Apple: a profile is defined, given to devices, or taken from them. */
function createChanges(deps: Pick<AdeDeps, 'clock' | 'events'> & { calls: Calls; outcomes: Outcomes }) {
  const { clock, events, calls, outcomes } = deps

  /** Apple does not take a profile, or does not know it any more: it is defined anew, at once only the first time. */
  async function refuse(trx: Tx, row: store.ProfileRow, error: AdeError): Promise<void> {
    const attempts = row.attempts + 1
    const isUnknown = error.kind === 'profile_unknown'
    await store.noteProfile(trx, row, {
      attempts,
      error: isUnknown ? null : error.message,
      retry_at: isUnknown && attempts === 1 ? null : retryAt(clock.now(), attempts),
      ...(isUnknown && { defined_hash: null, profile_uuid: null, defined_at: null }),
    })
    await events.emit(trx, {
      type: 'ade_profile.refused',
      reason: error.appleCode ?? error.kind,
      data: { ade_server_id: row.ade_server_id, policy_id: row.policy_id, error: error.message },
    })
  }

  /** Defines the profile, and assigns it to these devices with the same call. */
  async function define({ row, profile, hash }: Wanted, serials: string[]): Promise<void> {
    const { ade_server_id, policy_id } = row
    const place = { serverId: ade_server_id, policyId: policy_id }
    const about = { ...NO_PROFILE, kind: 'define', ade_server_id, policy_id, hash, profile } as const
    await calls.change(
      { ...about, serial_numbers: serials },
      {
        work: (client, options) => client.defineProfile({ ...profile, devices: serials }, options),
        async done(trx, { profileUuid, devices: results, retryAfterSeconds }) {
          const defined = { profile_uuid: profileUuid, defined_hash: hash, defined_at: clock.now() }
          await store.noteProfile(trx, row, { ...defined, error: null, retry_at: null })
          const { profile_name: name } = profile
          const data = { ade_server_id, policy_id, profile_uuid: profileUuid, name }
          await events.emit(trx, { type: 'ade_profile.defined', data })
          await outcomes.note(trx, { ...place, profileUuid, results, retryAfterSeconds })
        },
        refused: (trx, error) => refuse(trx, row, error),
      },
    )
  }

  async function give(row: store.ProfileRow, serials: string[]): Promise<void> {
    const { ade_server_id, policy_id, profile_uuid } = row
    if (profile_uuid === null) return
    const place = { serverId: ade_server_id, policyId: policy_id, profileUuid: profile_uuid }
    const about = { ...NO_PROFILE, kind: 'assign', ade_server_id, policy_id, profile_uuid } as const
    await calls.change(
      { ...about, serial_numbers: serials },
      {
        work: (client, options) => client.assignProfile(profile_uuid, serials, options),
        async done(trx, { devices: results, retryAfterSeconds }) {
          await outcomes.note(trx, { ...place, results, retryAfterSeconds })
          if (row.attempts > 0) await store.noteProfile(trx, row, { attempts: 0 })
        },
        async refused(trx, error) {
          if (error.kind === 'profile_unknown') await refuse(trx, row, error)
          else await outcomes.note(trx, { ...place, results: allFailed(serials, error) })
        },
      },
    )
  }

  async function take(serverId: string, policyId: string | null, serials: string[]): Promise<void> {
    const place = { serverId, policyId, profileUuid: null }
    const about = { ...NO_PROFILE, kind: 'remove', ade_server_id: serverId, policy_id: policyId } as const
    await calls.change(
      { ...about, serial_numbers: serials },
      {
        work: (client, options) => client.removeProfile(serials, options),
        done: (trx, results) => outcomes.note(trx, { ...place, results }),
        refused: (trx, error) => outcomes.note(trx, { ...place, results: allFailed(serials, error) }),
      },
    )
  }

  return { define, give, take }
}

/** Of a call that is about no profile. */
const NO_PROFILE = { hash: null, profile: null, profile_uuid: null }

function allFailed(serials: readonly string[], { message }: AdeError): Map<string, DeviceResult> {
  return new Map(serials.map((serial) => [serial, { result: 'FAILED', text: message.slice(0, 200) }]))
}
