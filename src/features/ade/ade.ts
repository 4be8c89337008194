import type { Queries } from '../../db/index.ts'
import { newSecret } from '../../kernel/ids.ts'
import { countDevices, lastSyncs } from './counts-store.ts'
import { findByKey, forgetProfiles } from './assignment/store.ts'
import { createReconciler } from './assignment/reconcile.ts'
import { createAssignRequests } from './assignment/requests.ts'
import type { AdeDeps } from './deps.ts'
import { createAdeDevices, createDeviceNotes } from './devices/devices.ts'
import { removeAllOf } from './devices/store.ts'
import { createApple } from './servers/apple.ts'
import { sweepExpiry } from './servers/expiry.ts'
import { createServers } from './servers/servers.ts'
import { createTokens } from './servers/tokens.ts'
import { createSyncs } from './syncs/syncs.ts'

const WORKER_BYTES = 12

/** Apple's side of automated enrollment: servers, serial numbers, and the policies that these have. */
export type Ade = ReturnType<typeof createAde>

/** The door of the slice. Work goes on in the background as far as it is asked for; the jobs find what is left. */
export function createAde(deps: AdeDeps) {
  const { db, clock } = deps
  const worker = newSecret(WORKER_BYTES)
  const apple = createApple(deps)
  const reconciler = createReconciler({ ...deps, apple, worker })
  const onChanged = reconciler.wake
  const syncs = createSyncs({ ...deps, apple, worker, onChanged })
  const servers = createServers({
    ...deps,
    removeDevices: (trx, id) => removeAllOf(trx, id, clock.now()),
  })
  const tokens = createTokens({
    ...deps,
    async onOtherServer(trx, serverId) {
      await syncs.reset(trx, serverId)
      await forgetProfiles(trx, serverId)
    },
    async onFirst(trx, server, act) {
      const present = { ...server, cursor: null, full_sync_mark: null, last_full_sync_started_at: null }
      await syncs.start(trx, present, 'first_token', act)
    },
    onStored: onChanged,
  })
  const devices = createAdeDevices({ ...deps, apple })
  const assignRequests = createAssignRequests({ ...deps, onChanged })

  return {
    /** For the API of this slice. */
    parts: { db, clock, governor: deps.governor, servers, tokens, syncs, devices, assignRequests },
    ...createDeviceNotes(deps),
    /** The policy and the ADE server whose devices enrol at the address with this key. */
    async findKey(
      reader: Queries,
      key: string,
    ): Promise<{ policyId: string; adeServerId: string } | undefined> {
      const found = await findByKey(reader, key)
      return found && { policyId: found.policy_id, adeServerId: found.ade_server_id }
    },
    /** How many serial numbers are in each state, and of assignment; when servers were last synced. For gauges. */
    countStates: () => db.bulk(countDevices),
    lastSyncs: () => lastSyncs(db.kysely),
    /** A policy has changed (after the commit): what Apple has is looked at anew. */
    policyChanged: reconciler.policyChanged,
    /** Starts syncs that are due and goes on with those of dead processes; does not wait for their end. */
    runSyncs: syncs.run,
    /** Defines, assigns and takes away profiles as far as it is due, and waits for that. */
    reconcile: reconciler.run,
    /** Warns of tokens that expire. */
    sweepExpiry: () => sweepExpiry(deps),
    /** Waits until no sync runs in this process. */
    idle: syncs.idle,
    /** Hands over syncs, and waits for the change at Apple that is under way. */
    async close(): Promise<void> {
      await syncs.close()
      await reconciler.close()
    },
  }
}
