import type { Tx } from '../../../db/index.ts'
import { AppError } from '../../../kernel/errors.ts'
import { unpackBytes, parseResult, toJson, parseCommand } from '../../../protocol/mdm/index.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { Answer } from '../../commands/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import { finishRemoval } from '../end.ts'
import { keepCode } from './codes.ts'

/** Far more than the answer to any act has. */
const LARGEST_ANSWER = 1024 * 1024
const LONGEST_CODE = 256

/** An answer to an act, with what was asked. */
interface Answered {
  device: Enrollment
  uuid: string
  at: Date
  /** The command as it was sent. */
  command: PlistDict
  /** What the device has said; nothing where that cannot be read. */
  result: () => PlistDict
}

/** What follows from the acknowledgement of a command, by its RequestType; acts that are not here change nothing more. */
const FOLLOWS: Readonly<
  Record<string, (trx: Tx, deps: EnrollmentDeps, answered: Answered) => Promise<void>>
> = {
  EnableLostMode: lostModeOn,
  DisableLostMode: lostModeOff,
  DeviceLocation: located,
  ActivationLockBypassCode: bypassCode,
}

/** Takes in what devices have answered to acts, with the transaction that removes the answers from what waits. */
export async function takeInActs(trx: Tx, deps: EnrollmentDeps, answers: readonly Answer[]): Promise<void> {
  for (const { enrollment_id: id, command_uuid: uuid, state, at } of answers) {
    if (state !== 'acknowledged') continue
    const kept = await deps.commands.answered(trx, id, uuid)
    const ends = kept?.purpose === 'unenroll'
    if (kept === undefined || !(ends || Object.hasOwn(FOLLOWS, kept.request_type))) continue
    const device = await deps.devices.lockEnrollment(trx, id)
    // What the device was before it enrolled anew says nothing of what it is.
    if (device === undefined || (device.authenticated_at !== null && device.authenticated_at > at)) continue
    if (ends) {
      await finishRemoval(trx, deps, device)
      continue
    }
    const { result: said } = kept
    const result = () => (said === null ? {} : readResult(said))
    const { command } = parseCommand(kept.body)
    await FOLLOWS[kept.request_type]?.(trx, deps, { device, uuid, at, command, result })
  }
}

function readResult(packed: Buffer): PlistDict {
  try {
    return parseResult(unpackBytes(packed, LARGEST_ANSWER)).raw as PlistDict
  } catch (error) {
    if (error instanceof AppError) return {}
    throw error
  }
}

async function lostModeOn(trx: Tx, deps: EnrollmentDeps, { device, at, command }: Answered): Promise<void> {
  const { RequestType: _, ...shown } = command
  await deps.devices.updateEnrollment(trx, device.id, {
    lost_mode_since: device.lost_mode_since ?? at,
    lost_mode_wanted: JSON.stringify(toJson(shown)),
    updated_at: deps.clock.now(),
  })
  if (device.lost_mode_since === null) await tell(trx, deps, device, 'device.lost_mode_enabled')
}

async function lostModeOff(trx: Tx, deps: EnrollmentDeps, { device }: Answered): Promise<void> {
  await deps.devices.updateEnrollment(trx, device.id, {
    lost_mode_since: null,
    lost_mode_wanted: null,
    updated_at: deps.clock.now(),
  })
  if (device.lost_mode_since !== null) await tell(trx, deps, device, 'device.lost_mode_disabled')
}

async function located(trx: Tx, deps: EnrollmentDeps, { device, at, result }: Answered): Promise<void> {
  const { Latitude: latitude, Longitude: longitude, HorizontalAccuracy: accuracy, Timestamp: told } = result()
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) return
  const time = typeof told === 'string' ? new Date(told) : told instanceof Date ? told : at
  const location = {
    latitude,
    longitude,
    accuracy: typeof accuracy === 'number' && Number.isFinite(accuracy) ? accuracy : null,
    at: (isPlausible(time) ? time : at).toISOString(),
  }
  await deps.devices.updateEnrollment(trx, device.id, {
    location: JSON.stringify(location),
    updated_at: deps.clock.now(),
  })
  await tell(trx, deps, device, 'device.located')
}

function isPlausible(time: Date): boolean {
  const year = time.getUTCFullYear()
  return year > 2000 && year < 10_000
}

async function bypassCode(trx: Tx, deps: EnrollmentDeps, { device, uuid, result }: Answered): Promise<void> {
  const code = result()['ActivationLockBypassCode']
  if (typeof code !== 'string' || code === '' || code.length > LONGEST_CODE) return
  const kept = { enrollment_id: device.id, kind: 'bypass_code', command_uuid: uuid, code } as const
  await keepCode(trx, deps, kept)
}

function tell(
  trx: Tx,
  { events }: EnrollmentDeps,
  { id, serial_number }: Enrollment,
  type: 'device.lost_mode_enabled' | 'device.lost_mode_disabled' | 'device.located',
): Promise<void> {
  return events.emit(trx, { type, enrollment_id: id, serial_number })
}
