import { AdeError, isSameUuid, type AdeDevice, type DeviceResult } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import type { Calls } from './calls.ts'
import type { Outcomes } from './outcomes.ts'
import { isSameProfile } from './rendering.ts'
import * as store from './store.ts'

type Found = ReadonlyMap<string, DeviceResult & { readonly device?: AdeDevice }>

/** Profiles that are looked at to find the one that was being defined. */
const MAX_CANDIDATES = 5

/** Finds out what became of a change whose outcome was never written down. */
export function createRecovery(
  deps: Pick<AdeDeps, 'db' | 'clock' | 'log' | 'events'> & { calls: Calls; outcomes: Outcomes },
) {
  const { db, clock, log, events, calls, outcomes } = deps

  /** The profile that was being defined, if it was: one of those that its devices have, and that is what we sent. */
  async function findDefined(call: store.CallRow, found: Found): Promise<string | undefined> {
    const uuids = [...found.values()].flatMap(({ device }) => device?.profileUuid ?? [])
    for (const uuid of [...new Set(uuids)].slice(0, MAX_CANDIDATES)) {
      const answer = await calls
        .ask(call.ade_server_id, (client, options) => client.getProfile(uuid, options))
        .catch(unknownProfile)
      if (answer && call.profile && isSameProfile(call.profile, answer.profile)) return uuid
    }
    return undefined
  }

  async function uuidOf(call: store.CallRow, found: Found): Promise<string | null | undefined> {
    if (call.kind === 'remove') return null
    return call.kind === 'define' ? findDefined(call, found) : (call.profile_uuid ?? undefined)
  }

  return async function recover(serverId: string): Promise<void> {
    const call = await store.findCall(db.kysely, serverId)
    if (call === undefined) return
    const asOf = clock.now()
    const answer = await calls.ask(serverId, (client, options) =>
      client.deviceDetails(call.serial_numbers, options),
    )
    // Where Apple cannot tell, the devices go on waiting, and the call is made once more.
    const found: Found = answer ?? new Map()
    const uuid = await uuidOf(call, found)
    const results = uuid === undefined ? new Map<string, DeviceResult>() : resultsOf(found, uuid)
    log.info(
      { event: 'ade.recovered', ade_server_id: serverId, kind: call.kind, done: results.size },
      'what became of an interrupted call at Apple is known',
    )
    await calls.commit(serverId, async (trx) => {
      await store.deleteCall(trx, serverId)
      await store.noteSeen(trx, seenOf(found), asOf)
      const { policy_id: policyId } = call
      if (call.kind === 'define' && typeof uuid === 'string' && policyId !== null) {
        const row = { ade_server_id: serverId, policy_id: policyId }
        const defined = { profile_uuid: uuid, defined_hash: call.hash, defined_at: call.started_at }
        await store.noteProfile(trx, row, { ...defined, error: null, retry_at: null })
        const data = { ...row, profile_uuid: uuid }
        await events.emit(trx, { type: 'ade_profile.defined', reason: 'recovered', data })
      }
      if (uuid !== undefined) await outcomes.note(trx, { serverId, policyId, profileUuid: uuid, results })
    })
  }
}

/** What surely was done, or cannot be; the others go on waiting. */
function resultsOf(found: Found, uuid: string | null): Map<string, DeviceResult> {
  const isKnown = ({ result, device }: DeviceResult & { device?: AdeDevice }) => {
    if (result === 'NOT_ACCESSIBLE') return true
    if (result !== 'SUCCESS' || device === undefined) return false
    const has = hasProfile(device) ? (device.profileUuid ?? null) : null
    return uuid === null ? has === null : has !== null && isSameUuid(has, uuid)
  }
  return new Map([...found].filter(([, answer]) => isKnown(answer)))
}

function seenOf(found: Found) {
  const devices = [...found.values()].flatMap(({ device = [] }) => device)
  return devices.map(({ serialNumber: serial, profileUuid = null, profileStatus: status = null }) => ({
    serial,
    profileUuid,
    status,
  }))
}

function hasProfile({ profileStatus }: AdeDevice): boolean {
  return profileStatus !== 'empty' && profileStatus !== 'removed'
}

function unknownProfile(error: unknown): undefined {
  if (!(error instanceof AdeError && error.kind === 'profile_unknown')) throw error
}
