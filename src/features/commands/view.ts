import type { Act } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import { decodeCursor } from '../../kernel/paging.ts'
import { redactCommand } from '../../protocol/mdm/index.ts'
import type { Commands } from './commands.ts'
import { PRIORITIES } from './priorities.ts'
import type { NewCommand } from './new-command.ts'
import { nameOf } from './queue.ts'
import type { Command, Delivery, DeviceDelivery } from './store.ts'

/** Deliveries shown with a command; the rest is told by the devices' own lists. */
const MOST_DELIVERIES = 1_000

/** A command with its deliveries and its plist, as the API shows it. Errors: `not_found`. */
export async function show(commands: Commands, uuid: string) {
  const command = await commands.find(uuid)
  if (!command) throw new AppError('not_found', `There is no command ${uuid}.`)
  const deliveries = await commands.deliveries(uuid, command.target_ids.slice(0, MOST_DELIVERIES))
  return {
    ...renderCommand(command),
    deliveries: deliveries.map(renderDelivery),
    plist: redactCommand(command.body).toString('base64'),
  }
}

/** What a cursor of the API says is the last one of the page before. */
export function beforeOf(cursor: string | undefined): { at: Date; uuid: string } | undefined {
  const key = decodeCursor(cursor, ['time', 'string'])
  return key && { at: key[0], uuid: key[1] }
}

/** A command, as the API shows it. */
export function renderCommand(command: Omit<Command, 'body'>) {
  const name = Object.entries(PRIORITIES).find(([, value]) => value === command.priority)?.[0] ?? 'normal'
  return {
    uuid: command.uuid,
    request_type: command.request_type,
    priority: name,
    not_before: command.not_before?.toISOString() ?? null,
    expires_at: command.expires_at?.toISOString() ?? null,
    created_at: command.created_at.toISOString(),
    created_by: command.created_by,
    device_count: command.target_ids.length,
  }
}

/** A command that is about to be queued, likewise. */
export function renderNew(command: NewCommand, act: Act) {
  return {
    uuid: command.uuid,
    request_type: command.requestType,
    priority: command.priority ?? 'normal',
    not_before: command.notBefore?.toISOString() ?? null,
    expires_at: command.expiresAt?.toISOString() ?? null,
    created_at: new Date().toISOString(),
    created_by: nameOf(act),
    device_count: command.targets.length,
    plist: redactCommand(command.body).toString('base64'),
  }
}

function renderDelivery(delivery: Delivery) {
  return {
    device_id: delivery.enrollment_id,
    state: delivery.state,
    not_now_count: delivery.not_now_count,
    queued_at: delivery.created_at.toISOString(),
    sent_at: delivery.sent_at?.toISOString() ?? null,
    finished_at: delivery.finished_at?.toISOString() ?? null,
    reason: delivery.reason,
    error_chain: delivery.error_chain ?? null,
    result_unreadable: delivery.result_problem !== null,
    warnings:
      delivery.result_problem === null
        ? []
        : [`Not all of the answer can be read: ${delivery.result_problem}`],
  }
}

/** A command in the queue or history of a device, likewise. */
export function renderDeviceDelivery(delivery: DeviceDelivery) {
  return {
    ...renderDelivery(delivery),
    command_uuid: delivery.command_uuid,
    request_type: delivery.request_type,
  }
}
