import type { Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { newAppleUuid } from '../../../kernel/ids.ts'
import { buildCommand } from '../../../protocol/mdm/index.ts'
import type { Commands } from '../../commands/index.ts'
import type { Devices, Enrollment } from '../../devices/index.ts'
import type { Push } from '../../push/index.ts'
import type { SettingsDoor } from '../../settings/index.ts'
import { QUESTIONS } from './questions.ts'

/** What asking is made of. */
export interface AskDeps {
  commands: Pick<Commands, 'enqueue' | 'unansweredInventory'>
  devices: Pick<Devices, 'findEnrollments'>
  push: Pick<Push, 'request'>
  settings: Pick<SettingsDoor, 'get'>
}

/**
 * Asks devices for inventory: one command of each kind for all of them. A kind that a device was asked for and has not told yet is
 * not asked again. Gives, by device, the CommandUUID after whose answer all of it is there. `only`: RequestTypes.
 */
export async function ask(
  trx: Tx,
  deps: AskDeps,
  act: Act,
  devices: readonly Enrollment[],
  only?: (device: Enrollment, requestType: string) => boolean,
): Promise<Map<string, string>> {
  const ids = devices.map(({ id }) => id)
  const settings = await deps.settings.get(trx)
  const last = new Map<string, string>()
  const waiting = new Set<string>()
  for (const { enrollment_id: id, request_type, command_uuid } of await deps.commands.unansweredInventory(
    trx,
    ids,
  )) {
    last.set(id, command_uuid)
    waiting.add(`${request_type} ${id}`)
  }
  const woken = new Set<string>()
  for (const { requestType, suits, command } of QUESTIONS) {
    const asked = devices.filter(
      (device) =>
        suits(device) &&
        !waiting.has(`${requestType} ${device.id}`) &&
        (only === undefined || only(device, requestType)),
    )
    for (const [parameters, targets] of byParameters(asked, (device) => command(device, settings))) {
      const uuid = newAppleUuid()
      const body = buildCommand(uuid, requestType, JSON.parse(parameters) as Record<string, unknown>)
      // They are woken once for all of it.
      const how = { priority: 'low', purpose: 'inventory', push: false } as const
      await deps.commands.enqueue(trx, act, { uuid, requestType, body, targets, ...how })
      for (const id of targets) {
        last.set(id, uuid)
        woken.add(id)
      }
    }
  }
  await deps.push.request(trx, [...woken])
  return last
}

/** The devices that are asked in the same words. */
function byParameters(
  devices: readonly Enrollment[],
  parametersOf: (device: Enrollment) => Record<string, unknown>,
): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const device of devices) {
    const parameters = JSON.stringify(parametersOf(device))
    const targets = groups.get(parameters) ?? []
    targets.push(device.id)
    groups.set(parameters, targets)
  }
  return groups
}
