import type { Tx } from '../../../db/index.ts'
import { actOfServer } from '../../../kernel/act.ts'
import { newAppleUuid } from '../../../kernel/ids.ts'
import { buildCommand } from '../../../protocol/mdm/index.ts'
import type { Commands, NewCommand } from '../../commands/index.ts'
import type { Inventory } from '../../inventory/index.ts'
import type { Decision, FindGoods } from './decide.ts'
import type { Device, Order } from './types.ts'

/** Devices that share a command. */
const MOST_TARGETS = 1_000
/** A device that should have come for what it is to get is pushed for again after so many seconds; one that is held, sooner. */
const PUSH_AGAIN_SECONDS = 300
const PUSH_AGAIN_HELD_SECONDS = 30

/** What a visit decided for a device. */
interface Decided {
  device: Device
  decision: Decision
  /** For how many devices the change is because of which it was visited; 0 when that is no change. */
  among: number
}

/**
 * Queues what was decided, and notes it in the rows. What is installed is rendered when it is sent, so devices that are to have
 * the same revision share a command. The pushes of a change for many devices are spread.
 */
export async function send(
  trx: Tx,
  { commands, inventory }: { commands: Pick<Commands, 'enqueueOnce'>; inventory: Pick<Inventory, 'ask'> },
  findGoods: FindGoods,
  decided: readonly Decided[],
): Promise<void> {
  const held = decided.filter(({ device }) => device.isHeld)
  const others = decided.filter(({ device }) => !device.isHeld)
  for (const [some, seconds] of [
    [held, PUSH_AGAIN_HELD_SECONDS],
    [others, PUSH_AGAIN_SECONDS],
  ] as const) {
    if (some.length === 0) continue
    const wanted = ordered(some, findGoods)
    if (wanted.length > 0) await commands.enqueueOnce(trx, wanted, seconds)
  }
  await ask(trx, inventory, decided)
}

function ordered(decided: readonly Decided[], findGoods: FindGoods): NewCommand[] {
  const shared = new Map<string, NewCommand & { targets: string[] }>()
  for (const { device, decision, among } of decided)
    for (const order of decision.orders) {
      const target = targetOf(device, order, findGoods)
      const isSpread = among > 0 && !device.isHeld
      const key = `${keyOf(order)} ${isSpread}`
      const before = shared.get(key)
      const isRoom = before !== undefined && before.targets.length < MOST_TARGETS
      const command = isRoom ? before : newCommand(order, isSpread ? among : 0)
      command.targets.push(target)
      shared.set(isRoom || before === undefined ? key : `${key} ${command.uuid}`, command)
      note(order, device, { target, uuid: command.uuid }, findGoods)
    }
  return [...shared.values()]
}

/** Orders with the same key may share a command. */
function keyOf({ row, requestType }: Order): string {
  const { kind, thing_id: id, identifier } = row
  return [requestType, kind, id, identifier, row.is_wanted ? row.revision : 'remove'].join(' ')
}

function newCommand({ row, requestType }: Order, among: number): NewCommand & { targets: string[] } {
  const uuid = newAppleUuid()
  const keys = row.is_wanted ? {} : { Identifier: row.identifier ?? '' }
  const body = buildCommand(uuid, requestType, keys)
  return { uuid, requestType, body, targets: [], purpose: 'delivery', among }
}

function targetOf(device: Device, { row }: Order, findGoods: FindGoods): string {
  const revision = row.is_wanted ? row.revision : (row.there_revision ?? row.sent_revision)
  const goods = revision === null ? undefined : findGoods(row.kind, row.thing_id, revision)
  const before = row.may_be_there && row.target_id !== null && device.users.has(row.target_id)
  // What is with one of several users stays with that one; of what was deleted meanwhile it is only known by which channel it came.
  if (before && goods?.isForUser !== false) return row.target_id ?? device.id
  return goods?.isForUser === true ? (device.userChannelId ?? device.id) : device.id
}

function note(
  { row }: Order,
  device: Device,
  command: { target: string; uuid: string },
  findGoods: FindGoods,
): void {
  row.command_uuid = command.uuid
  row.target_id = command.target
  if (!row.is_wanted || row.revision === null) return
  row.state = 'queued'
  row.reason = null
  row.next_try_at = null
  row.sent_revision = row.revision
  row.sent_rendering = findGoods(row.kind, row.thing_id, row.revision)?.rendering(device) ?? ''
}

/** Asks devices for the lists by which it is seen what is on them. */
async function ask(trx: Tx, inventory: Pick<Inventory, 'ask'>, decided: readonly Decided[]): Promise<void> {
  const wants: [requestTypes: string[], ids: string[]][] = [
    [['ProfileList'], [...new Set(decided.flatMap(({ decision }) => decision.asksForProfiles))]],
    [
      ['ManagedApplicationList', 'InstalledApplicationList'],
      decided.flatMap(({ device, decision }) => (decision.asksForApps ? device.id : [])),
    ],
  ]
  for (const [requestTypes, ids] of wants)
    if (ids.length > 0) await inventory.ask(trx, actOfServer(), ids, requestTypes)
}
