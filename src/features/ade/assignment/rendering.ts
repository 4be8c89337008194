import { isDeepStrictEqual } from 'node:util'
import { newSecret } from '../../../kernel/ids.ts'
import { renderAdeProfile, type Policy } from '../../enrollment-policies/index.ts'
import type { AdeDeps } from '../deps.ts'
import * as store from './store.ts'

const ADDRESS_KEY_BYTES = 24
/** Devices that are marked in one statement when a policy changes. */
const MARK_BATCH = 5_000

type Rendered = ReturnType<typeof renderAdeProfile>

/** A policy as it is to be at Apple on one server. */
export type Wanted = Rendered & { row: store.ProfileRow }

/** What policies are to be at Apple. */
export function createRendering(deps: Pick<AdeDeps, 'db' | 'policies' | 'publicUrl' | 'instanceId'>) {
  const { db, policies, publicUrl } = deps

  function render(policy: Policy, key: string): Rendered {
    return renderAdeProfile(policy, {
      url: `${publicUrl}/enroll/ade/${key}`,
      webUrl: `${publicUrl}/enroll/web/${key}`,
      orgMagic: deps.instanceId,
    })
  }

  /** Notes what a policy is to be (null: nothing); when that is new, its devices are to be looked at again first. */
  async function noteWanted(row: store.ProfileRow, hash: Buffer | null): Promise<store.ProfileRow> {
    const isSame = hash === null ? row.wanted_hash === null : row.wanted_hash?.equals(hash) === true
    if (isSame) return row
    const place = { serverId: row.ade_server_id, policyId: row.policy_id, limit: MARK_BATCH }
    while ((await store.markPending(db.kysely, place)) === MARK_BATCH);
    const columns = { wanted_hash: hash, retry_at: null, attempts: 0, error: null }
    await store.noteProfile(db.kysely, row, columns)
    return { ...row, ...columns }
  }

  return {
    /** The policy at Apple; undefined when it is to be nothing there. */
    async wanted(serverId: string, policyId: string): Promise<Wanted | undefined> {
      const policy = await policies.find(db.kysely, policyId)
      if (policy === undefined) return undefined
      const row = await store.ensureProfile(db.kysely, {
        serverId,
        policyId,
        key: newSecret(ADDRESS_KEY_BYTES),
      })
      const { profile, hash } = render(policy, row.key)
      const noted = await noteWanted(row, policy.ade.enabled ? hash : null)
      return policy.ade.enabled ? { row: noted, profile, hash } : undefined
    },
    /** Looks whether policies have changed that devices of the server have. */
    async refresh(serverId: string): Promise<void> {
      for (const row of await store.listProfiles(db.kysely, serverId)) {
        const policy = await policies.find(db.kysely, row.policy_id)
        if (policy === undefined) continue
        await noteWanted(row, policy.ade.enabled ? render(policy, row.key).hash : null)
      }
    },
  }
}

/** Whether what Apple has is this profile: everything that we defined is there; Apple may add to it. */
export function isSameProfile(
  defined: Readonly<Record<string, unknown>>,
  found: Readonly<Record<string, unknown>>,
): boolean {
  return Object.entries(defined).every(([key, value]) => isDeepStrictEqual(found[key], value))
}
