import type { Db } from '../../../db/index.ts'
import { groupsOfSerial, memberIds, memberships } from '../../../db/statements/delivery-facts.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { Devices } from '../../devices/index.ts'
import type { Groups } from '../../groups/index.ts'
import type { Contents } from '../contents/contents.ts'
import type { ThingItem, WantedItem } from '../contents/items.ts'
import { desire, keyOf, type Wanted } from '../deliveries/desire.ts'
import { createProposals } from './proposal.ts'
import { COUNTED, differences, type Change } from './differences.ts'
import { membershipOf } from '../deliveries/load.ts'
import { rowsOf } from '../deliveries/store.ts'
import { revisionsOf, type Thing } from '../rings/rings.ts'

/** Devices that are looked at together, and changes of single devices that are told. */
const BATCH = 1_000
const MOST_TOLD = 100

/** What a change of contents would do to a device. */
interface ItemChange {
  device_id: string
  kind: 'profile' | 'app'
  id: string
  change: Change
  because: { group_id: string; group_name: string }[]
}

/** What devices would get. */
export type Predictions = ReturnType<typeof createPredictions>

/** Foretells by the same function by which it is decided (`desire`). */
export function createPredictions(deps: {
  db: Db
  contents: Pick<Contents, 'items' | 'get'>
  groups: Pick<Groups, 'foretell' | 'get' | 'namesOf'>
  devices: Pick<Devices, 'findEnrollment'>
}) {
  const { db, groups } = deps
  const itemsWith = createProposals(deps)

  const thingsOf = (items: readonly ThingItem[]): Promise<Map<string, Thing>> => revisionsOf(db.kysely, items)

  async function named(wanted: readonly Wanted[]) {
    const names = await groups.namesOf([...new Set(wanted.flatMap(({ groupIds }) => groupIds))])
    return (ids: readonly string[]) => ids.map((id) => ({ group_id: id, group_name: names.get(id) ?? id }))
  }

  return {
    /** What a device has to have, or one that has not come yet. Throws AppError `not_found`. */
    async predict(of: {
      device_id?: string
      serial_number?: string
      contents?: { group_id: string; items: readonly WantedItem[] }
    }) {
      const { id, membership } = await whose(of)
      const items = await itemsWith([...membership.members, ...membership.unknown], of.contents)
      const wanted = await unhalted(db, id, desire(items, membership, await thingsOf(items), id))
      const because = await named(wanted)
      return {
        items: wanted.map(({ kind, id: thing, identifier, revision, critical, groupIds, isUncertain }) => ({
          kind,
          id: thing,
          identifier,
          revision,
          critical,
          uncertain: isUncertain,
          because: because(groupIds),
        })),
      }
    },
    /** What writing these contents would do to the members of a group. */
    async change(groupId: string, items: readonly WantedItem[]) {
      await groups.get(groupId)
      const counted = { device_count: 0, installs: 0, removals: 0, replacements: 0 }
      const told: (Omit<ItemChange, 'because'> & { groupIds: string[] })[] = []
      for (let after = ''; ;) {
        const ids = await memberIds(db.kysely, groupId, { after, limit: BATCH })
        const last = ids.at(-1)
        if (last === undefined) break
        after = last
        counted.device_count += ids.length
        const members = Map.groupBy(await memberships(db.kysely, ids), (row) => row.enrollment_id)
        const all = [...new Set([groupId, ...[...members.values()].flat().map((row) => row.group_id)])]
        const now = await itemsWith(all, undefined)
        const then = await itemsWith(all, { group_id: groupId, items })
        const things = await thingsOf([...now, ...then])
        for (const id of ids) {
          const membership = membershipOf(members.get(id) ?? [])
          membership.members.add(groupId)
          for (const one of differences(
            desire(now, membership, things, id),
            desire(then, membership, things, id),
          )) {
            counted[COUNTED[one.change]] += 1
            if (told.length < MOST_TOLD) told.push({ device_id: id, ...one })
          }
        }
      }
      const names = await groups.namesOf([...new Set(told.flatMap(({ groupIds }) => groupIds))])
      const becauseOf = (ids: readonly string[]) =>
        ids.map((id) => ({ group_id: id, group_name: names.get(id) ?? id }))
      return {
        ...counted,
        items: told.map(({ groupIds, ...one }) => ({ ...one, because: becauseOf(groupIds) })),
      }
    },
  }

  async function whose({ device_id, serial_number }: { device_id?: string; serial_number?: string }) {
    if (device_id !== undefined) {
      const device = await deps.devices.findEnrollment(db.kysely, device_id)
      if (device === undefined) throw new AppError('not_found', `There is no device ${device_id}.`)
      return { id: device.id, membership: membershipOf(await memberships(db.kysely, [device.id])) }
    }
    const found = await groupsOfSerial(db.kysely, serial_number ?? '')
    if (found === undefined)
      throw new AppError('not_found', `No device has the serial number ${serial_number}.`)
    if (found.device_id !== null)
      return {
        id: found.device_id,
        membership: membershipOf(await memberships(db.kysely, [found.device_id])),
      }
    const { device_id: _, group_ids, ...facts } = found
    const byRule = await groups.foretell(facts)
    const members = new Set([...group_ids, ...byRule.members])
    return { id: facts.serial_number, membership: { members, unknown: new Set(byRule.unknown) } }
  }
}

/** Of a rollout that is halted, a device has what was decided for it already, or the former revision. */
async function unhalted(db: Db, id: string, wanted: readonly Wanted[]): Promise<readonly Wanted[]> {
  if (wanted.every(({ fallback }) => fallback === undefined)) return wanted
  const decided = new Map(
    (await rowsOf(db.kysely, [id])).map((row) => [keyOf(row.kind, row.thing_id), row.revision]),
  )
  return wanted.map((one) =>
    one.fallback === undefined || decided.get(keyOf(one.kind, one.id)) === one.revision
      ? one
      : { ...one, revision: one.fallback.revision },
  )
}
