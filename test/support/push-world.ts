import type { Db } from '../../src/db/index.ts'
import { createDevices } from '../../src/features/devices/index.ts'
import { createEvents } from '../../src/features/events/index.ts'
import { createPush, type Push } from '../../src/features/push/index.ts'
import { createLog } from '../../src/kernel/log.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import type { FakeApns } from '../../src/simulator/push-service/fake-apns.ts'
import { manualClock, type ManualClock } from './manual-clock.ts'

/** A server process as far as pushes go, on a database and against a fake of Apple. */
export interface PushWorld {
  push: Push
  clock: ManualClock
  logText(): string
  /** How often pushes ended so. */
  counted(result: string): Promise<number>
  request(ids: readonly string[], dueAt?: Date): Promise<void>
}

/** Makes one; `clock` may be shared by several processes. */
export function pushWorld(
  db: Db,
  apns: Pick<FakeApns, 'url' | 'certificates'>,
  clock = manualClock(),
  wakePerSecond = 500,
): PushWorld {
  const lines: string[] = []
  const log = createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } })
  const metrics = createMetrics()
  const events = createEvents({ db, clock, log, metrics })
  const push = createPush({
    ...{ db, clock, log, metrics, events, wakePerSecond },
    devices: createDevices({
      db,
      clock,
      reader: { readList: () => Promise.reject(new Error('no lists here')) },
    }),
    box: createSecretBox({ key: Buffer.alloc(32, 7) }),
    service: { url: apns.url, ca: apns.certificates.ca },
    random: () => 0.5,
  })
  return {
    push,
    clock,
    logText: () => lines.join(''),
    async counted(result) {
      const { values } = await metrics.pushes.get()
      return values.find(({ labels }) => labels['result'] === result)?.value ?? 0
    },
    request: (ids, dueAt) =>
      db.transaction((trx) => push.request(trx, ids, dueAt === undefined ? {} : { dueAt })),
  }
}

/** Adds channels that have said their token: the token of a channel is the hex of its id. */
export async function addChannels(db: Db, ids: readonly string[], topic: string, at: Date): Promise<void> {
  await db.kysely
    .insertInto('enrollments')
    .values(
      ids.map((id) => ({
        ...{ id, topic, type: 'device' as const, push_state: 'ok' as const },
        ...{ push_token: Buffer.from(id), push_magic: `magic of ${id}`, serial_number: `SN-${id}` },
        ...{ token_updated_at: at, enrolled_at: at, created_at: at, updated_at: at },
      })),
    )
    .execute()
}

/** The token of a channel as the fake of Apple sees it. */
export const tokenOf = (id: string): string => Buffer.from(id).toString('hex')

/** Puts everything about pushes back to nothing. */
export async function emptyPushTables(db: Db): Promise<void> {
  for (const table of ['push_needs', 'push_certificates', 'enrollments', 'event_outbox'] as const) {
    await db.kysely.deleteFrom(table).execute()
  }
}
