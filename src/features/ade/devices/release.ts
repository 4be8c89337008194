import type { Queries, Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { serialNumberOf } from '../../../kernel/serial-number.ts'
import type { Approval } from '../../governor/index.ts'
import type { AdeDeps } from '../deps.ts'
import type { Apple } from '../servers/apple.ts'
import * as store from './store.ts'

/** A serial number, and the devices that came by a link or the page and give the same. */
export type ListedDevice = store.AdeDevice & { other_enrollments: string[] }

/** The name by which the governor knows that a device is to be released. */
const RELEASE = 'ade.release'

/** Releases devices from the organisation, for good. */
export function createRelease(
  deps: Pick<AdeDeps, 'db' | 'clock' | 'events' | 'governor'> & {
    apple: Apple
    get: (serial: string, reader: Queries) => Promise<ListedDevice>
    lockLive: (trx: Tx, serial: string) => Promise<{ ade_server_id: string | null }>
  },
) {
  const { db, clock, events, governor, apple, get, lockLive } = deps

  /** Gives the device, or what waits for a second person. */
  async function release(given: string, confirm: string, act: Act): Promise<ListedDevice | Approval> {
    const serial = serialNumberOf(given) ?? given
    if (serialNumberOf(confirm) !== serial) {
      throw new AppError(
        'invalid_request',
        'A release cannot be undone: confirm it with the serial number of the device.',
        { fields: [{ path: 'confirm', message: 'is not the serial number' }] },
      )
    }
    const { approval } = await db.transaction(async (trx) => {
      await lockLive(trx, serial)
      return governor.ask(trx, act, {
        ...{ act: 'release', deviceIds: [serial], role: 'admin' },
        ...{ deed: RELEASE, params: {}, isLater: true },
      })
    })
    return approval ?? releaseNow(serial, act)
  }

  /** Asks Apple outside of any transaction; what it did is written down after it. */
  async function releaseNow(serial: string, act: Act): Promise<ListedDevice> {
    const { ade_server_id: serverId } = await db.transaction((trx) => lockLive(trx, serial))
    if (serverId === null) throw noDevice()
    const results = await apple.call(serverId, (client, options) => client.disown([serial], options))
    const answer = results.get(serial)
    if (answer?.result !== 'SUCCESS' && answer?.result !== 'NOT_ACCESSIBLE') {
      throw new AppError('ade_failed', `Apple has not released the device (${answer?.text ?? 'no answer'}).`)
    }
    return db.transaction(async (trx) => {
      const isReleased = answer.result === 'SUCCESS'
      if (isReleased) await store.setReleased(trx, serial, clock.now())
      else await store.setRemoved(trx, [serial], clock.now())
      await events.emit(trx, {
        type: isReleased ? 'ade_device.released' : 'ade_device.removed',
        act,
        serial_number: serial,
        ...(!isReleased && { reason: 'not_accessible' }),
        data: { ade_server_id: serverId },
      })
      return get(serial, trx)
    })
  }

  governor.carriesOut(RELEASE, {
    async outside({ act, deviceIds }) {
      for (const serial of deviceIds) await releaseNow(serial, act)
    },
  })
  return release
}

/** It was never ours. */
export function noDevice(): AppError {
  return new AppError('not_found', 'Apple has not assigned a device with this serial number to us.')
}
