import type { Db, Tx } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Devices } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import type { Push } from '../push/index.ts'
import { openBody } from './bodies.ts'
import { countPending } from './counts-store.ts'
import * as queue from './queue.ts'
import { sealPlain } from './seal-plain.ts'
import * as store from './store.ts'

/** The queue of commands, and what became of them. */
export type Commands = ReturnType<typeof createCommands>

/** Commands: how they are queued, what is known of them, and the jobs on the queue. */
export function createCommands(deps: {
  db: Db
  clock: Clock
  secretBox: SecretBox
  events: Pick<Events, 'emit'>
  devices: Pick<Devices, 'liveIds'>
  push: Pick<Push, 'request'>
}) {
  const { db, secretBox } = deps

  return {
    /** See `enqueue`. */
    enqueue: (trx: Tx, act: Act, command: queue.NewCommand) => queue.enqueue(trx, deps, act, command),
    /** See `enqueueOnce`. */
    enqueueOnce: (trx: Tx, commands: readonly queue.NewCommand[], pushAgainSeconds: number) =>
      queue.enqueueOnce(trx, deps, commands, pushAgainSeconds),
    /** See `cancelAll`. */
    cancelAll: (trx: Tx, act: Act, ids: readonly string[]) => queue.cancelAll(trx, deps, act, ids),
    /** See `cancel`. */
    cancel: (uuid: string, act: Act) => queue.cancel(deps, uuid, act),
    expire: () => queue.expire(deps),
    pushAgain: () => queue.pushAgain(deps),
    forget: (days: number) => queue.forget(deps, days),
    /** A background job: seals the plists that were written before plists were sealed. */
    sealPlain: () => sealPlain(db, secretBox),
    /** A command by its uuid, with its plist. */
    async find(uuid: string): Promise<store.Command | undefined> {
      const command = await store.findCommand(db.kysely, uuid)
      return command && { ...command, body: openBody(secretBox, uuid, command.body) }
    },
    /** The plist of a command from how it is kept. */
    openBody: (uuid: string, kept: Buffer) => openBody(secretBox, uuid, kept),
    list: (query: Parameters<typeof store.listCommands>[1]) => store.listCommands(db.kysely, query),
    /** The deliveries of a command to these of its targets. */
    deliveries: (uuid: string, targets: readonly string[]) => store.deliveriesOf(db.kysely, uuid, targets),
    /** What is pending for an enrollment, in order. */
    pending: (enrollmentId: string) => store.pendingOf(db.kysely, enrollmentId),
    /** What an enrollment has finished, newest first. */
    history: (enrollmentId: string, query: Parameters<typeof store.historyOf>[2]) =>
      store.historyOf(db.kysely, enrollmentId, query),
    /** The device's answer as it came, deflated. */
    result: (enrollmentId: string, uuid: string) => store.findResult(db.kysely, enrollmentId, uuid),
    /** Pending commands with their plists, oldest first. */
    async pendingPlists(enrollmentId: string, query: Parameters<typeof store.pendingCommandsOf>[2]) {
      const rows = await store.pendingCommandsOf(db.kysely, enrollmentId, query)
      return rows.map((row) => ({ ...row, body: openBody(secretBox, row.uuid, row.body) }))
    },
    /** The enrollments for which not all of these commands have come to an end yet. */
    unfinishedAmong: (pairs: Parameters<typeof store.unfinishedAmong>[1]) =>
      store.unfinishedAmong(db.kysely, pairs),
    /** How a command to an enrollment ended, or that it is pending; undefined when there is no such thing. */
    async stateOf(trx: Tx, enrollmentId: string, uuid: string) {
      const delivery = (await store.deliveriesOf(trx, uuid, [enrollmentId])).at(-1)
      if (delivery === undefined) return undefined
      return delivery.finished_at === null ? ('pending' as const) : delivery.state
    },
    /** How many deliveries wait in each state. */
    countPending: () => db.bulk(countPending),
    /** Which of these enrollments have anything pending. */
    withPending: (ids: readonly string[]) => store.withPending(db.kysely, ids),
  }
}
