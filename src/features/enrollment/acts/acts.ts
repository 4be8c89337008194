import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import type { Tx } from '../../../db/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import { keepCode } from './codes.ts'
import { checkSuited, lockDevice, order, type Order, type Ordered } from './order.ts'
import * as orders from './orders.ts'
import { findWifi, serviceFor, type ServiceWanted } from './return-to-service.ts'

/** Has something done to a device: queues it, and gives what was queued. */
export function perform(
  deps: EnrollmentDeps,
  { id, act }: { id: string; act: Act },
  orderOf: (device: Enrollment, trx: Tx) => Order | Promise<Order>,
): Promise<Ordered> {
  return deps.db.transaction(async (trx) => {
    const device = await lockDevice(trx, deps, id)
    return order(trx, deps, { device, act }, await orderOf(device, trx))
  })
}

/** Locks a device; the PIN of a Mac is kept, sealed. */
export function lockDeviceWith(
  deps: EnrollmentDeps,
  { id, act }: { id: string; act: Act },
  wanted: orders.LockWanted,
): Promise<Ordered> {
  return deps.db.transaction(async (trx) => {
    const device = await lockDevice(trx, deps, id)
    const pin = orders.pinFor(device, wanted.pin)
    const ordered = await order(trx, deps, { device, act }, orders.lock(wanted, pin))
    await keepPin(trx, deps, device, ordered, pin)
    return ordered
  })
}

/** Erases a device, and lets it return to service if that is wanted. */
export async function eraseDevice(
  deps: EnrollmentDeps,
  { id, act }: { id: string; act: Act },
  { return_to_service: service, ...wanted }: orders.EraseWanted & { return_to_service?: ServiceWanted },
): Promise<Ordered> {
  const wifi = await findWifi(deps, service)
  return deps.db.transaction(async (trx) => {
    const device = await lockDevice(trx, deps, id)
    const pin = orders.pinFor(device, wanted.pin)
    const returning = service === undefined ? undefined : await serviceFor(trx, deps, device, wifi)
    const erasing = orders.erase(device, wanted, { pin, service: returning?.fields })
    const ordered = await order(
      trx,
      deps,
      { device, act },
      {
        ...erasing,
        warnings: [...(returning?.warnings ?? []), ...(erasing.warnings ?? [])],
        ...(returning?.expiresAt !== undefined && { expiresAt: returning.expiresAt }),
      },
    )
    await keepPin(trx, deps, device, ordered, pin)
    return ordered
  })
}

async function keepPin(
  trx: Tx,
  deps: EnrollmentDeps,
  { id: enrollment_id }: Enrollment,
  { command_uuid }: Ordered,
  code: string | undefined,
): Promise<void> {
  if (code !== undefined) await keepCode(trx, deps, { enrollment_id, kind: 'lock_pin', command_uuid, code })
}

/** Asks a device for its whole inventory; gives the last of the commands, after whose answer all of it is there. */
export function refresh(deps: EnrollmentDeps, { id, act }: { id: string; act: Act }): Promise<Ordered> {
  return deps.db.transaction(async (trx) => {
    const device = await lockDevice(trx, deps, id)
    checkSuited(device, 'DeviceInformation', [])
    const uuid = await deps.inventory.refresh(trx, act, device.id)
    if (uuid === undefined) throw new AppError('conflict', 'This channel is not asked for inventory.')
    return { command_uuid: uuid, warnings: [], undoUntil: null, approval: null }
  })
}

/** ClearPasscode for a device that has given an UnlockToken. Errors: `unlock_token_missing`. */
export function clearPasscodeOf({ secretBox }: EnrollmentDeps, device: Enrollment): Order {
  const { id, unlock_token: sealed } = device
  if (sealed !== null) return orders.clearPasscode(secretBox.open(sealed, SEALED_FOR.unlockToken(id)))
  // What does not suit the device at all is the better reason.
  if (device.unenrolled_at !== null || device.type !== 'device') return orders.clearPasscode(Buffer.alloc(0))
  throw new AppError('unlock_token_missing')
}

/** DeviceLocation. Errors: `not_in_lost_mode`. */
export function locate(device: Enrollment): Order {
  const isOver = device.unenrolled_at !== null || device.erased_at !== null
  // That it is gone is the better reason.
  if (device.lost_mode_since === null && !isOver) throw new AppError('not_in_lost_mode')
  return orders.plain('DeviceLocation')
}
