import type { Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newAppleUuid } from '../../../kernel/ids.ts'
import {
  buildCommand,
  checkCommand,
  fromJson,
  suits,
  type Part,
  type SuitedDevice,
} from '../../../protocol/mdm/index.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { Verdict } from '../../governor/index.ts'
import type { EnrollmentDeps } from '../deps.ts'

/** What an act becomes for a device. */
export interface Order {
  requestType: string
  /** As JSON; data as `{"$data": ...}`. */
  fields: Readonly<Record<string, unknown>>
  /** Keys without which the act would be another one: a device that does not have them is refused it. */
  needs?: readonly string[]
  warnings?: readonly string[]
  /** After that it is not sent any more. */
  expiresAt?: Date
}

/** What was queued, until when it can be taken back, and whether it waits for a second person. */
export type Ordered = Verdict & {
  command_uuid: string
  warnings: string[]
}

/** A device that an act is for, locked. Errors: `not_found`. */
export async function lockDevice(trx: Tx, deps: EnrollmentDeps, id: string): Promise<Enrollment> {
  const device = await deps.devices.lockEnrollment(trx, id)
  if (!device) throw new AppError('not_found', `There is no device ${id}.`)
  return device
}

/**
 * Queues what somebody wants done to a device, before all that waits. Every act passes here, those that destroy something too.
 * Errors: `command_unsuited` where the device is one that cannot do it, or its enrollment is over.
 */
export async function order(
  trx: Tx,
  deps: EnrollmentDeps,
  { device, act }: { device: Enrollment; act: Act },
  { requestType, fields, needs = [], warnings = [], expiresAt }: Order,
): Promise<Ordered> {
  const checked = checkCommand(requestType, fromJson(fields) as PlistDict)
  const parts = checked.parts.map((part) =>
    needs.includes(part.pointer.slice(1)) ? { ...part, isNeeded: true } : part,
  )
  const told = checkSuited(device, requestType, parts)
  const uuid = newAppleUuid()
  const verdict = await deps.commands.enqueue(trx, act, {
    uuid,
    requestType,
    body: buildCommand(uuid, requestType, fields),
    targets: [device.id],
    priority: 'high',
    purpose: 'act',
    parts,
    ...(expiresAt !== undefined && { expiresAt }),
  })
  return { command_uuid: uuid, warnings: [...warnings, ...told], ...verdict }
}

/** What a device will leave out of a command. Errors: `command_unsuited`. */
export function checkSuited(device: Enrollment, requestType: string, parts: readonly Part[]): string[] {
  const { reasons, details, warnings } = suits(suitedOf(device), requestType, parts)
  if (reasons.length > 0)
    throw new AppError('command_unsuited', details.join(' '), {
      unsuited: [{ device_id: device.id, reasons, details }],
    })
  return warnings
}

function suitedOf(device: Enrollment): SuitedDevice {
  const { type, product_name, os_version, supervised, way, unenrolled_at, erased_at } = device
  const is_over = unenrolled_at !== null || erased_at !== null
  return { type, product_name, os_version, supervised, way, is_over }
}
