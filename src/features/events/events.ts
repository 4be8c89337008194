import { afterCommit, beforeCommit, type Db, type Tx } from '../../db/index.ts'
import { noteActs } from '../../db/statements/audit.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { createPassLoop } from '../../kernel/pass-loop.ts'
import { CATALOGUE, type EventType } from './catalogue.ts'
import type { Kind } from './catalogue/kind.ts'
import { createSerials } from './serials.ts'
import {
  boundsOf,
  deleteEventsBefore,
  firstSince,
  insertIntoOutbox,
  listEvents,
  publishBatch,
  type EventQuery,
} from './store.ts'
import { withMaker, type NewEvent, type PublishedEvent } from './types.ts'

/** Facts moved in one transaction of the publisher; small, so that other statements wait briefly on one connection. */
const PUBLISH_BATCH = 500
/** What somebody waits for is published so soon after it was committed, together with what came in that time. */
const DEBOUNCE_MS = 80

/** The outbox and everything that reads it. */
export type Events = ReturnType<typeof createEvents>

/** Facts are written with the transaction that makes them and told after it has committed. */
export function createEvents(deps: {
  db: Db
  clock: Clock
  log: Log
  metrics: Metrics
  /** The sentence for a reason, where there is one. */
  explainReason?: (reason: string) => string | null
}) {
  const { db, clock, log, metrics, explainReason = () => null } = deps
  const serials = createSerials()
  const awaited = new Set<EventType>()
  const wakes = new Set<() => void>()
  const emitted = new WeakMap<Tx, NewEvent[]>()
  const publishing = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    pass: publish,
    onFailure: (error) =>
      log.error({ event: 'events.publish_failed', err: error }, 'events could not be published'),
  })

  /** Writes one log line and counts, for facts that stand in no transaction or were written by another statement. */
  function announce(event: NewEvent): void {
    metrics.events.inc({ type: event.type, reason: event.reason ?? '' }, devicesIn(event))
    const { type, data, ...fields } = withMaker(serials.add(event))
    if (awaited.has(type)) publishing.wake()
    const { level } = CATALOGUE[type]
    if (log.isLevelEnabled(level))
      log[level]({ event: type, ...withoutNulls(fields), ...data }, sentenceOf(event))
  }

  /** What happened, why, and what else is said of it in words. */
  function sentenceOf({ type, reason, data }: NewEvent): string {
    const why = typeof reason === 'string' ? explainReason(reason) : null
    const { error, message }: Record<string, unknown> = data ?? {}
    const text = error ?? message
    const details = [why === reason ? null : why, typeof text === 'string' ? text : null]
    return [CATALOGUE[type].sentence, ...details.filter((each) => each !== null)].join(': ')
  }

  /** Writes facts to the outbox, and who asked for them to the audit trail, at the end of `trx`, all at once; they are logged and counted when it has committed. */
  async function emit(trx: Tx, ...events: NewEvent[]): Promise<void> {
    if (events.length === 0) return
    const told = await serials.addAll(trx, events)
    const before = emitted.get(trx)
    if (before !== undefined) return void before.push(...told)
    const all = [...told]
    emitted.set(trx, all)
    beforeCommit(trx, async () => {
      await insertIntoOutbox(trx, all, clock.now())
      await noteActs(trx, all, clock.now())
    })
    afterCommit(trx, () => all.forEach(announce))
  }

  async function publish(): Promise<void> {
    let moved = 0
    do {
      moved = await publishBatch(db, PUBLISH_BATCH)
      if (moved > 0) for (const wake of wakes) wake()
    } while (moved === PUBLISH_BATCH)
  }

  /** Published facts, oldest first. Throws AppError `cursor_gone` when some after `after` are kept no more. */
  async function list(query: EventQuery): Promise<PublishedEvent[]> {
    const rows = await listEvents(db.kysely, query)
    const { after } = query
    // Read after the rows, so that what is deleted in between is missed by nobody.
    if (after !== undefined && rows[0]?.id !== after + 1) checkKept(after, await boundsOf(db.kysely))
    return rows
  }

  return {
    announce,
    emit,
    /** Writes facts to the outbox with `trx` that sum up what was announced one by one. */
    record: (trx: Tx, ...facts: NewEvent[]): Promise<void> => insertIntoOutbox(trx, facts, clock.now()),
    /** Job: publishes what waits in the outbox, unless another process is at it. */
    publish: publishing.run,
    /** Has events of these types published soon, and `wake` called whenever some were. */
    onPublished(types: readonly EventType[], wake: () => void): void {
      for (const type of types) awaited.add(type)
      wakes.add(wake)
    },
    close: publishing.close,
    list,
    /** The ids of the oldest published fact that is kept and of the newest one; 0 while there is none. */
    bounds: () => boundsOf(db.kysely),
    /** Deletes facts older than `days` days in bounded portions. */
    async expire(days: number): Promise<void> {
      const first = await firstSince(db.kysely, addTime(clock.now(), -days, 'day'))
      if (first === undefined) return
      while ((await deleteEventsBefore(db.kysely, first, PUBLISH_BATCH)) === PUBLISH_BATCH);
    },
  }
}

/** Throws AppError `cursor_gone` when facts after `position` are kept no more. */
export function checkKept(position: number, { oldest }: { oldest: number }): void {
  if (position >= oldest - 1) return
  throw new AppError(
    'cursor_gone',
    `Events after ${position} are kept no more; the oldest that is kept is ${oldest} (after=${oldest - 1}).`,
  )
}

/** A fact that stands for many devices counts each of them. */
function devicesIn({ type, data }: NewEvent): number {
  const { devices }: Kind = CATALOGUE[type]
  const members: Record<string, unknown> = data ?? {}
  const count = devices === undefined ? undefined : members[devices]
  return typeof count === 'number' ? count : 1
}

function withoutNulls(fields: Record<string, unknown>): Record<string, unknown> {
  const told: Record<string, unknown> = {}
  for (const name in fields)
    if (fields[name] !== null && fields[name] !== undefined) told[name] = fields[name]
  return told
}
