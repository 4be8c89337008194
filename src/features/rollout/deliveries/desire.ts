import type { ThingItem } from '../contents/items.ts'
import type { Thing } from '../rings/rings.ts'
import type { Kind } from './types.ts'

/** In which of the groups that have contents a device is, and of which that cannot be said yet. */
interface Membership {
  members: ReadonlySet<string>
  unknown: ReadonlySet<string>
}

/** What a device is to have. */
export interface Wanted {
  kind: Kind
  id: string
  identifier: string | null
  revision: number | null
  /** The ring of a rollout by which it is to have that revision. */
  ring: number | null
  /** The rollout is halted: a device to which the revision has not gone out keeps, or gets, this one. */
  fallback?: { revision: number | null }
  critical: boolean
  /** Its place among what the device is to have. */
  place: number
  /** The groups that bring it. */
  groupIds: string[]
  /** Whether a group keeps it away cannot be said yet. */
  isUncertain: boolean
}

/** What groups bring to a device, before it is asked who wins. */
interface Brought extends Wanted {
  precedence: number
  addedSeq: number
}

/**
 * What a device is to have: the union of what its groups bring, without what one of them excludes. Of things with one identifier
 * the one with the greater precedence wins, then the one that was added last. Things are in the order of the contents; of several
 * groups by the precedence of the item, greatest first, then by the age of the group.
 */
export function desire(
  items: readonly ThingItem[],
  { members, unknown }: Membership,
  things: ReadonlyMap<string, Thing>,
  deviceId: string,
): Wanted[] {
  const excluded = keysOf(items.filter(({ exclude, groupId }) => exclude && members.has(groupId)))
  const uncertain = keysOf(items.filter(({ exclude, groupId }) => exclude && unknown.has(groupId)))
  const brought = new Map<string, Brought>()
  for (const item of items.toSorted(inOrder)) {
    const key = keyOf(item.kind, item.id)
    const thing = things.get(key)
    if (item.exclude || !members.has(item.groupId) || excluded.has(key) || thing === undefined) continue
    const before = brought.get(key)
    const { revision, ring, fallback } =
      before ?? thing.revisionFor(deviceId, (groupId) => members.has(groupId))
    brought.set(key, {
      kind: item.kind,
      id: item.id,
      identifier: thing.identifier,
      revision,
      ring,
      ...(fallback !== undefined && { fallback }),
      critical: item.critical || (before?.critical ?? false),
      place: before?.place ?? brought.size,
      groupIds: [...(before?.groupIds ?? []), item.groupId],
      isUncertain: uncertain.has(key),
      precedence: Math.max(item.precedence, before?.precedence ?? item.precedence),
      addedSeq: Math.max(item.addedSeq, before?.addedSeq ?? item.addedSeq),
    })
  }
  return winners([...brought.values()])
}

/** What tells things apart. */
export function keyOf(kind: Kind, id: string): string {
  return `${kind} ${id}`
}

const keysOf = (items: readonly ThingItem[]) => new Set(items.map(({ kind, id }) => keyOf(kind, id)))

function inOrder(one: ThingItem, other: ThingItem): number {
  return (
    other.precedence - one.precedence ||
    one.groupAge - other.groupAge ||
    (one.groupId < other.groupId ? -1 : Number(one.groupId > other.groupId)) ||
    one.place - other.place
  )
}

/** Of those that would take each other's place on the device, the one that wins. */
function winners(brought: readonly Brought[]): Wanted[] {
  const winner = new Map<string, Brought>()
  for (const one of brought) {
    if (one.identifier === null) continue
    const key = keyOf(one.kind, one.identifier)
    const other = winner.get(key)
    if (other === undefined || beats(one, other)) winner.set(key, one)
  }
  return brought
    .filter((one) => one.identifier === null || winner.get(keyOf(one.kind, one.identifier)) === one)
    .map(({ precedence: _p, addedSeq: _a, ...wanted }, place) => ({ ...wanted, place }))
}

function beats(one: Brought, other: Brought): boolean {
  return (
    one.precedence - other.precedence > 0 ||
    (one.precedence === other.precedence && one.addedSeq > other.addedSeq)
  )
}
