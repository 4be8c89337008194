import type { Queries } from '../../../db/index.ts'
import { sha256 } from '../../../kernel/ids.ts'
import { openRollouts, releasedThings, type Rollout } from './store.ts'

/** Which revision of a thing a device is to have, and the ring of a rollout by which. */
interface Assigned {
  revision: number | null
  ring: number | null
  /** The rollout is halted: a device to which the revision has not gone out keeps, or gets, this one. */
  fallback?: { revision: number | null }
}

/** What decides who has which revision of a thing. */
export interface Thing {
  kind: 'profile' | 'app'
  id: string
  name: string
  /** What tells it from others on a device; null where that is not known. */
  identifier: string | null
  /** `isMember`: whether the device is in a group. */
  revisionFor(deviceId: string, isMember: (groupId: string) => boolean): Assigned
}

/** Percents are taken of so many parts. */
const PARTS = 10_000

/**
 * These things by kind and id, with the revision that each device is to have: the released one, or that of an open rollout where
 * the device is in a ring that gets it.
 */
export async function revisionsOf(
  db: Queries,
  things: readonly { kind: 'profile' | 'app'; id: string }[],
): Promise<Map<string, Thing>> {
  const idsOf = (kind: 'profile' | 'app') => [
    ...new Set(things.filter((thing) => thing.kind === kind).map(({ id }) => id)),
  ]
  const rows = await releasedThings(db, { profiles: idsOf('profile'), apps: idsOf('app') })
  const open = await openRollouts(
    db,
    rows.map(({ id }) => id),
  )
  return new Map(
    rows.map(({ released_revision: released, revision: _newest, ...thing }) => {
      const rollout = open.find((one) => one.kind === thing.kind && one.thing_id === thing.id)
      const revisionFor: Thing['revisionFor'] = (deviceId, isMember) => {
        const ring = rollout === undefined ? undefined : ringOf(rollout, deviceId, isMember)
        if (rollout === undefined || ring === undefined) return { revision: released, ring: null }
        const fallback = rollout.state === 'halted' && { fallback: { revision: released } }
        return { revision: rollout.revision, ring, ...fallback }
      }
      return [`${thing.kind} ${thing.id}`, { ...thing, revisionFor }]
    }),
  )
}

/** The first of the rings that get the revision in which a device is; the percentages are those of a hash that stays the same. */
function ringOf(
  { rings, ring: last, thing_id: id }: Rollout,
  deviceId: string,
  isMember: (groupId: string) => boolean,
): number | undefined {
  const part = sha256(`${id}\0${deviceId}`).readUInt32BE(0) % PARTS
  const at = rings.findIndex((ring) =>
    'percent' in ring ? part < (ring.percent * PARTS) / 100 : isMember(ring.group_id),
  )
  return at === -1 || at > last ? undefined : at
}
