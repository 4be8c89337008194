import type { EventType, PublishedEvent } from '../../events/index.ts'
import { keepNames, type NamingDeps } from './naming.ts'

/** Devices that are looked at in one transaction. */
const AT_ONCE = 200

/** After what a device may have to be called otherwise. */
export const NAMING_FACTS = [
  'inventory.received',
  'policy.updated',
  'user.updated',
] as const satisfies readonly EventType[]

/** Subscription on `NAMING_FACTS`: devices are called as their policies say. */
export async function followNames(deps: NamingDeps, facts: readonly PublishedEvent[]): Promise<void> {
  const told = facts.filter(
    ({ type, data }) => type === 'inventory.received' && data['kind'] === 'device_information',
  )
  await keepAll(deps, [...new Set(told.flatMap(({ enrollment_id: id }) => id ?? []))], true)
  for (const { type, data } of facts) {
    const { policy_id: policy, user_id: user } = data
    if (type === 'policy.updated' && typeof policy === 'string') await keepOf(deps, { policy_id: policy })
    if (type === 'user.updated' && typeof user === 'string') await keepOf(deps, { user_id: user })
  }
}

/** All devices of a policy, or of a person. */
async function keepOf(deps: NamingDeps, of: { policy_id: string } | { user_id: string }): Promise<void> {
  for (let after = ''; ;) {
    const query = { ...of, type: 'device', state: 'enrolled', after, limit: AT_ONCE } as const
    const devices = await deps.devices.listDevices(deps.db.kysely, query)
    await keepAll(
      deps,
      devices.map(({ id }) => id),
      false,
    )
    const last = devices.at(-1)
    if (last === undefined || devices.length < AT_ONCE) return
    after = last.id
  }
}

async function keepAll(deps: NamingDeps, ids: readonly string[], hasTold: boolean): Promise<void> {
  for (let from = 0; from < ids.length; from += AT_ONCE)
    await deps.db.transaction((trx) => keepNames(trx, deps, ids.slice(from, from + AT_ONCE), hasTold))
}
