import { serialNumberOf } from '../../../kernel/serial-number.ts'
import type { Queries, Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { decodeCursor, page, type Page } from '../../../kernel/paging.ts'
import type { AdeDeps } from '../deps.ts'
import type { Apple } from '../servers/apple.ts'
import { createRelease, noDevice, type ListedDevice } from './release.ts'
import * as store from './store.ts'

/** Serial numbers that Apple assigned to us. */
export type AdeDevices = ReturnType<typeof createAdeDevices>

/** What administrators see of serial numbers and do with them; refuses `not_found` for one that was never ours. */
export function createAdeDevices(
  deps: Pick<AdeDeps, 'db' | 'clock' | 'events' | 'governor' | 'devices'> & { apple: Apple },
) {
  const { db, clock, events } = deps

  async function get(serial: string, reader: Queries = db.kysely): Promise<ListedDevice> {
    const device = await store.findDevice(reader, serial)
    if (device === undefined) throw noDevice()
    const [listed] = await withOthers([device], reader)
    if (listed === undefined) throw noDevice()
    return listed
  }

  async function withOthers(found: readonly store.AdeDevice[], reader: Queries): Promise<ListedDevice[]> {
    const serials = found.map(({ serial_number }) => serial_number)
    const others = await deps.devices.enrolledOtherwise(reader, serials)
    return found.map((device) => ({ ...device, other_enrollments: others.get(device.serial_number) ?? [] }))
  }

  async function setBlocked(given: string, isBlocked: boolean, act: Act): Promise<ListedDevice> {
    const serial = serialNumberOf(given) ?? given
    return db.transaction(async (trx) => {
      const device = await lockLive(trx, serial)
      if ((device.blocked_at !== null) !== isBlocked) {
        const now = clock.now()
        await store.setBlocked(trx, serial, isBlocked ? now : null, now)
        await events.emit(trx, {
          type: isBlocked ? 'ade_device.blocked' : 'ade_device.unblocked',
          act,
          serial_number: serial,
        })
      }
      return get(serial, trx)
    })
  }

  async function lockLive(trx: Tx, serial: string) {
    const device = await store.lockLive(trx, serial)
    if (device !== undefined) return device
    const { state } = await get(serial, trx)
    throw new AppError('conflict', `Apple does not count the device as ours any more: it is ${state}.`)
  }

  return {
    get: (serial: string) => get(serial),
    async list(query: Omit<store.DeviceQuery, 'after'> & { cursor?: string }): Promise<Page<ListedDevice>> {
      const { cursor, limit, ...filter } = query
      const [after] = decodeCursor(cursor, ['string']) ?? []
      const rows = await store.listDevices(db.kysely, { ...filter, after, limit: limit + 1 })
      const { items, next_cursor } = page(rows, limit, ({ serial_number }) => [serial_number])
      return { items: await withOthers(items, db.kysely), next_cursor }
    },
    setBlocked,
    release: createRelease({ ...deps, get, lockLive }),
  }
}

/** What the rest of the server tells and asks of serial numbers; each takes part in the caller's transaction. */
export function createDeviceNotes({ clock }: { clock: Clock }) {
  return {
    findDevice: store.findDevice,
    noteUnenrolled: (trx: Tx, serial: string, at: Date) => store.noteUnenrolled(trx, serial, at),
    /** Serial numbers that newly got a policy, each told once; locked until `trx` ends. */
    takeUnjudged: (trx: Tx, limit: number) => store.takeUnjudged(trx, limit, clock.now()),
  }
}
