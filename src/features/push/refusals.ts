import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Events } from '../events/index.ts'
import * as store from './store.ts'
import type { Topic, Topics } from './topics.ts'

/** Stops topics whose certificate Apple refuses, and lets them go on; in all processes, through the database. */
export function createRefusals(deps: {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
  topics: Topics
}) {
  const { db, clock, log, events, topics } = deps
  const rejecting = new Map<string, Promise<void>>()

  async function writeRejected(topic: Topic, reason: string): Promise<void> {
    await db.transaction(async (trx) => {
      if (!(await store.setRejected(trx, topic, reason))) return
      await events.emit(trx, { type: 'push_certificate.rejected', reason, data: { topic: topic.topic } })
    })
  }

  async function writeRestored({ topic, version }: Topic): Promise<void> {
    const released = await db.transaction(async (trx) => {
      await store.lockCertificates(trx)
      await store.setRejected(trx, { topic, version }, null)
      return store.releaseHeld(trx, topic, clock.now())
    })
    log.info(
      { event: 'push_certificate.restored', topic, released },
      'Apple takes the push certificate again',
    )
  }

  /** What cannot be written now is found out again by the next push. */
  function logFailure(error: unknown): void {
    log.error({ event: 'push.not_recorded', err: error }, 'the state of a push certificate was not recorded')
  }

  return {
    /** Many pushes learn it at once; all wait for the first, which tells it. */
    reject(topic: Topic, reason: string): Promise<void> {
      topics.note(topic, reason)
      const present = rejecting.get(topic.topic)
      if (present !== undefined) return present
      const written = writeRejected(topic, reason)
        .catch(logFailure)
        .finally(() => rejecting.delete(topic.topic))
      rejecting.set(topic.topic, written)
      return written
    },
    /** A push with a refused certificate has passed. */
    async restore(topic: Topic): Promise<void> {
      topics.note(topic, null)
      await writeRestored(topic).catch(logFailure)
    },
  }
}
