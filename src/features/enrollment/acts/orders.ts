import { randomInt } from 'node:crypto'
import { AppError } from '../../../kernel/errors.ts'
import { systemOf } from '../../../protocol/mdm/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { Order } from './order.ts'

const PIN_DIGITS = 6
/** Longest name of a device, in bytes. */
const LONGEST_NAME = 63

const FOR_MACS = 'is for Macs: it is left out.'

/** What a lock shows and asks for. */
export interface LockWanted {
  message?: string
  phone_number?: string
  pin?: string
}

/** The PIN of a Mac that is locked or erased: the one given, or one that is made; undefined for other devices. */
export function pinFor(
  device: Pick<Enrollment, 'product_name'>,
  given: string | undefined,
): string | undefined {
  const system = systemOf(device.product_name)
  if (system === 'macOS') return given ?? String(randomInt(10 ** PIN_DIGITS)).padStart(PIN_DIGITS, '0')
  return system === undefined ? given : undefined
}

/** DeviceLock. */
export function lock({ message, phone_number, pin: given }: LockWanted, pin: string | undefined): Order {
  return {
    requestType: 'DeviceLock',
    fields: {
      ...(message !== undefined && { Message: message }),
      ...(phone_number !== undefined && { PhoneNumber: phone_number }),
      ...(pin !== undefined && { PIN: pin }),
    },
    warnings: pin === undefined && given !== undefined ? [`A PIN ${FOR_MACS}`] : [],
  }
}

const OBLITERATION = {
  never: 'DoNotObliterate',
  fallback: 'ObliterateWithWarning',
  always: 'Always',
} as const

/** How a device is to be erased. */
export interface EraseWanted {
  pin?: string
  preserve_data_plan?: boolean
  obliteration?: keyof typeof OBLITERATION
}

/** EraseDevice; `service`: what the device is to know of its return to service, where it is to return. */
export function erase(
  device: Pick<Enrollment, 'product_name'>,
  wanted: EraseWanted,
  { pin, service }: { pin: string | undefined; service: Order['fields'] | undefined },
): Order {
  const isMac = systemOf(device.product_name) === 'macOS'
  const { obliteration, preserve_data_plan: keepsPlan } = wanted
  return {
    requestType: 'EraseDevice',
    fields: {
      ...(keepsPlan !== undefined && { PreserveDataPlan: keepsPlan }),
      ...(pin !== undefined && { PIN: pin }),
      ...(isMac && { ObliterationBehavior: OBLITERATION[obliteration ?? 'never'] }),
      ...(service !== undefined && { ReturnToService: service }),
    },
    needs: ['ReturnToService'],
    warnings: [
      ...(pin === undefined && wanted.pin !== undefined ? [`A PIN ${FOR_MACS}`] : []),
      ...(!isMac && obliteration !== undefined ? [`Obliteration ${FOR_MACS}`] : []),
    ],
  }
}

/** ClearPasscode, with what the device has given for that. */
export function clearPasscode(token: Uint8Array): Order {
  const fields = { UnlockToken: { $data: Buffer.from(token).toString('base64') } }
  return { requestType: 'ClearPasscode', fields }
}

/** What a device in lost mode shows. */
interface LostModeWanted {
  message?: string
  phone_number?: string
  footnote?: string
}

/** EnableLostMode. Errors: `invalid_request` without anything to show. */
export function enableLostMode({ message, phone_number, footnote }: LostModeWanted): Order {
  if (message === undefined && phone_number === undefined)
    throw new AppError('invalid_request', 'Lost mode needs a message or a phone_number.', {
      faults: [{ pointer: '/message', detail: 'is needed, or phone_number' }],
    })
  return {
    requestType: 'EnableLostMode',
    fields: {
      ...(message !== undefined && { Message: message }),
      ...(phone_number !== undefined && { PhoneNumber: phone_number }),
      ...(footnote !== undefined && { Footnote: footnote }),
    },
  }
}

/** A command without parameters. */
export function plain(requestType: string): Order {
  return { requestType, fields: {} }
}

/** Settings with a new name. Errors: `invalid_request` for one that is too long. */
export function rename(name: string): Order {
  const detail = `is longer than ${LONGEST_NAME} bytes`
  if (Buffer.byteLength(name) > LONGEST_NAME)
    throw new AppError('invalid_request', `device_name ${detail}.`, {
      faults: [{ pointer: '/device_name', detail }],
    })
  return { requestType: 'Settings', fields: { Settings: [{ Item: 'DeviceName', DeviceName: name }] } }
}
