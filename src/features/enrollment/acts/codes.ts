import type { Tx } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { AnswerState } from '../../commands/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import { insertCode, listCodes, type DeviceCode } from './codes-store.ts'
import { lockDevice, order } from './order.ts'
import { plain } from './orders.ts'

/** Codes of a kind that are told of a device. */
const MOST_CODES = 100

/** A code as somebody reads it. */
interface ReadCode {
  code: string
  created_at: Date
}

/** A PIN, and what the device has said to the command that carried it. */
type LockPin = ReadCode & { state: AnswerState }

/** What makes a PIN the one that locks a device, the likeliest first. */
const LIKELY: readonly AnswerState[] = ['acknowledged', 'pending', 'none', 'error', 'format_error']

/** Keeps a code of a device, sealed. */
export function keepCode(
  trx: Tx,
  { secretBox, clock }: Pick<EnrollmentDeps, 'secretBox' | 'clock'>,
  { code, ...of }: Pick<DeviceCode, 'enrollment_id' | 'kind' | 'command_uuid'> & { code: string },
): Promise<void> {
  const sealed = secretBox.seal(Buffer.from(code), SEALED_FOR.deviceCode(of.enrollment_id, of.kind))
  return insertCode(trx, { ...of, code: sealed, created_at: clock.now() })
}

async function readCodes(
  trx: Tx,
  { secretBox }: Pick<EnrollmentDeps, 'secretBox'>,
  id: string,
  kind: DeviceCode['kind'],
): Promise<(ReadCode & Pick<DeviceCode, 'command_uuid'>)[]> {
  const rows = await listCodes(trx, id, kind, MOST_CODES)
  return rows.map(({ code, created_at, command_uuid }) => ({
    code: secretBox.open(code, SEALED_FOR.deviceCode(id, kind)).toString('utf8'),
    created_at,
    command_uuid,
  }))
}

/**
 * The PINs with which a Mac was to be locked or erased, and what it said to each. First those that it has taken, then those that it
 * may still take; the newest of each before the others: a Mac that is locked takes no other PIN. Errors: `not_found`.
 */
export function readLockPins(deps: EnrollmentDeps, id: string, act: Act): Promise<[LockPin, ...LockPin[]]> {
  return deps.db.transaction(async (trx) => {
    const device = await lockDevice(trx, deps, id)
    const pins: LockPin[] = []
    for (const { command_uuid: uuid, ...code } of await readCodes(trx, deps, device.id, 'lock_pin')) {
      const answer = await deps.commands.answerTo(trx, device.id, uuid)
      pins.push({ ...code, state: answer?.state ?? 'none' })
    }
    const [first, ...others] = pins.toSorted((a, b) => LIKELY.indexOf(a.state) - LIKELY.indexOf(b.state))
    if (first === undefined) throw new AppError('not_found', 'No PIN was ever sent to this device.')
    await deps.events.emit(trx, {
      type: 'lock_pin.read',
      act,
      enrollment_id: device.id,
      serial_number: device.serial_number,
    })
    return [first, ...others]
  })
}

/**
 * The codes that bypass the Activation Lock of a device, each once, the newest first; none as long as it has not told one, and then it is asked.
 * Errors: `not_found`, `command_unsuited`.
 */
export function readBypassCodes(deps: EnrollmentDeps, id: string, act: Act): Promise<ReadCode[]> {
  return deps.db.transaction(async (trx) => {
    const device = await lockDevice(trx, deps, id)
    const codes = await readCodes(trx, deps, device.id, 'bypass_code')
    if (codes.length === 0) {
      const isAsked = await deps.commands.isPending(trx, device.id, 'ActivationLockBypassCode')
      if (!isAsked) await order(trx, deps, { device, act }, plain('ActivationLockBypassCode'))
      return []
    }
    await deps.events.emit(trx, {
      type: 'bypass_code.read',
      act,
      enrollment_id: device.id,
      serial_number: device.serial_number,
    })
    return codes.filter(({ code }, at) => codes.findIndex((one) => one.code === code) === at)
  })
}
