import type { Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Events, NewEvent } from '../../events/index.ts'
import { type Change, namesOfGroups } from './members-store.ts'

/** Devices that one event names at most. */
const MAX_NAMED = 1000

/** Why members of groups change. */
export type Because = Extract<NewEvent, { type: 'group.members_changed' }>['data']['because']

/** Tells how the members of groups have changed, of each group by itself, in parts. */
export async function tellChanges(
  trx: Tx,
  events: Pick<Events, 'emit'>,
  changes: readonly Change[],
  cause: { because: Because; act?: Act | undefined },
): Promise<void> {
  if (changes.length === 0) return
  const byGroup = Map.groupBy(changes, ({ group_id }) => group_id)
  const names = await namesOfGroups(trx, [...byGroup.keys()])
  const told: NewEvent[] = []
  for (const [groupId, all] of byGroup)
    for (let at = 0; at < all.length; at += MAX_NAMED)
      told.push(eventOf(groupId, names.get(groupId) ?? '', all.slice(at, at + MAX_NAMED), cause))
  await events.emit(trx, ...told)
}

function eventOf(
  group_id: string,
  name: string,
  changes: readonly Change[],
  { because, act }: { because: Because; act?: Act | undefined },
): NewEvent {
  const idsOf = (wanted: Change['change']) =>
    changes.flatMap(({ change, enrollment_id }) => (change === wanted ? [enrollment_id] : []))
  return {
    type: 'group.members_changed',
    ...(act && { act }),
    data: {
      group_id,
      name,
      because,
      added: idsOf('added'),
      removed: idsOf('removed'),
      unknown: idsOf('unknown'),
      known: idsOf('known'),
    },
  }
}
