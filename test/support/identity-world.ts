import type { Db } from '../../src/db/index.ts'
import { createEvents, type Events } from '../../src/features/events/index.ts'
import { addTime, type Clock } from '../../src/kernel/clock.ts'
import { createLog, type Log } from '../../src/kernel/log.ts'
import { createMetrics, type Metrics } from '../../src/kernel/metrics.ts'
import { createSecretBox, type SecretBox } from '../../src/kernel/secret-box.ts'

/** A clock that stands until it is moved. */
export interface TestClock extends Clock {
  advance(amount: number, unit: 'second' | 'minute' | 'day'): void
}

/** What a slice is made of, with a look into what it tells. */
export interface World {
  db: Db
  clock: TestClock
  log: Log
  metrics: Metrics
  events: Events
  box: SecretBox
  /** Events of an attempt in the outbox. */
  eventsOf(attemptId: string, type: string): ReturnType<typeof readEvents>
  /** Whether a line with this event and these fields was logged. */
  logged(event: string, fields: Record<string, unknown>): boolean
  /** The whole log as text. */
  logText(): string
  counted(type: string, reason: string): Promise<number>
}

/** A world on a database, whose clock starts at a fixed moment. */
export function identityWorld(db: Db, clock: TestClock = testClock()): World {
  const lines: string[] = []
  const log = createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } })
  const metrics = createMetrics()
  const events = createEvents({ db, clock, log, metrics })
  return {
    db,
    clock,
    log,
    metrics,
    events,
    box: createSecretBox({ key: Buffer.alloc(32, 7) }),
    eventsOf: (attemptId, type) => readEvents(db, attemptId, type),
    logged: (event, fields) =>
      lines
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .some(
          (line) =>
            line['event'] === event && Object.entries(fields).every(([name, value]) => line[name] === value),
        ),
    logText: () => lines.join(''),
    async counted(type, reason) {
      const { values } = await metrics.events.get()
      return values.find(({ labels }) => labels['type'] === type && labels['reason'] === reason)?.value ?? 0
    },
  }
}

/** A clock that stands still at a moment of the certificates' validity. */
export function testClock(): TestClock {
  let now = new Date('2026-06-01T12:00:00Z')
  return {
    now: () => now,
    after: () => () => undefined,
    advance(amount, unit) {
      now = addTime(now, amount, unit)
    },
  }
}

function readEvents(db: Db, attemptId: string, type: string) {
  return db.kysely
    .selectFrom('event_outbox')
    .selectAll()
    .where('attempt_id', '=', attemptId)
    .where('type', '=', type)
    .orderBy('seq')
    .execute()
}
