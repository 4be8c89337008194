import type { Tx } from '../../../db/index.ts'
import { newAppleUuid } from '../../../kernel/ids.ts'
import { writeCommand } from '../../../protocol/mdm/index.ts'
import type { Commands } from '../../commands/index.ts'
import type { Contents } from '../contents/contents.ts'
import type { CommandItem } from '../contents/items.ts'
import type { Known } from './load.ts'
import { deliveredCommands, noteDeliveredCommands } from './store.ts'

const PUSH_AGAIN_SECONDS = 300

/**
 * Gives devices the commands of the groups that they have joined since those were added; each once. A device joins when it becomes
 * a member, and when it enrols anew as one.
 */
export async function giveOnJoining(
  trx: Tx,
  deps: { contents: Pick<Contents, 'commandItems'>; commands: Pick<Commands, 'enqueueOnce'> },
  known: Known,
): Promise<void> {
  const items = await deps.contents.commandItems(trx, known.groupIds)
  if (items.length === 0) return
  const due = items.flatMap((item) => joinersOf(item, known).map((joiner) => ({ item, ...joiner })))
  if (due.length === 0) return
  const before = await deliveredCommands(
    trx,
    due.map(({ id }) => id),
  )
  const fresh = due.filter(({ id, item, joinedAt }) => {
    const last = before.get(`${id} ${item.id}`)
    return last === undefined || last < joinedAt
  })
  const commands = [...Map.groupBy(fresh, ({ item }) => item)].map(([item, joiners]) => {
    const uuid = newAppleUuid()
    const targets = joiners.map(({ id }) => id)
    return {
      uuid,
      requestType: item.requestType,
      body: writeCommand(uuid, item.requestType, item.command),
      targets,
      item,
    }
  })
  await deps.commands.enqueueOnce(trx, commands, PUSH_AGAIN_SECONDS)
  const uuids = new Map(commands.map(({ item, uuid }) => [item, uuid]))
  await noteDeliveredCommands(
    trx,
    fresh.map(({ id, item, joinedAt }) => ({ id, itemId: item.id, joinedAt, uuid: uuids.get(item) ?? '' })),
  )
}

function joinersOf(item: CommandItem, known: Known): { id: string; joinedAt: Date }[] {
  const gone = new Set(known.gone)
  return [...known.devices.keys()].flatMap((id) => {
    if (gone.has(id)) return []
    const member = known.members.get(id)?.find((one) => one.group_id === item.groupId && one.is_member)
    const enrolledAt = known.joinedAt.get(id) ?? null
    if (member === undefined || enrolledAt === null) return []
    const joinedAt = member.added_at > enrolledAt ? member.added_at : enrolledAt
    return joinedAt > item.addedAt ? [{ id, joinedAt }] : []
  })
}
