import type { Db, Queries, Tx } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Devices } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import type { Governor } from '../governor/index.ts'
import type { Push } from '../push/index.ts'
import { answerOf, type Answer } from './answer.ts'
import { createBodyOpener, openBody } from './bodies.ts'
import { countPending } from './counts-store.ts'
import { createAnswers } from './answers.ts'
import { governedActOf, QUEUE } from './governed.ts'
import type { NewCommand } from './new-command.ts'
import * as queue from './queue.ts'
import { sealPlain } from './seal-plain.ts'
import * as store from './store.ts'

type CancelAll = [trx: Tx, act: Act, ids: readonly string[], reason?: Parameters<typeof queue.cancelAll>[4]]

/** The queue of commands, and what became of them. */
export type Commands = ReturnType<typeof createCommands>

/** Commands: how they are queued, what is known of them, and the jobs on the queue. */
export function createCommands(deps: {
  db: Db
  clock: Clock
  log: Log
  secretBox: SecretBox
  events: Pick<Events, 'emit'>
  devices: Pick<Devices, 'liveIds'>
  push: Pick<Push, 'request'>
  governor: Pick<Governor, 'ask' | 'carriesOut' | 'onStop'>
  enrollmentIdentifier: string
}) {
  const { db, secretBox, governor } = deps
  governor.carriesOut(QUEUE, { inside: (trx, what) => queue.carryOut(trx, deps, what) })
  governor.onStop((trx, act) => queue.cancelGoverned(trx, deps, act))

  return {
    /** How the ends of commands reach those parts of the server that wait for them. */
    answers: createAnswers(deps),
    /** See `enqueue`. */
    enqueue: (trx: Tx, act: Act, command: NewCommand) => queue.enqueue(trx, deps, act, command),
    /** As which act a command counts, where it destroys something. */
    governedActOf: (command: NewCommand) => governedActOf(command, deps.enrollmentIdentifier),
    /** See `enqueueOnce`. */
    enqueueOnce: (trx: Tx, commands: readonly NewCommand[], pushAgainSeconds: number) =>
      queue.enqueueOnce(trx, deps, commands, pushAgainSeconds),
    /** See `holdBack`. */
    holdBack: queue.holdBack,
    /** See `takeBack`. */
    takeBack: (trx: Tx, of: Parameters<typeof queue.takeBack>[2]) => queue.takeBack(trx, deps, of),
    /** See `cancelAll`. */
    cancelAll: (...[trx, act, ids, reason]: CancelAll) => queue.cancelAll(trx, deps, act, ids, reason),
    /** See `cancelUnsuited`. */
    cancelUnsuited: (unsuited: Parameters<typeof queue.cancelUnsuited>[1], act: Act) =>
      queue.cancelUnsuited(deps, unsuited, act),
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
    /** What these commands are for, and their plists, but for those of the server's own inventory. */
    async asked(executor: Queries, uuids: readonly string[]) {
      const rows = await store.findAsked(executor, uuids)
      return rows.map(({ uuid, purpose, body }) => ({
        uuid,
        purpose,
        body: body && openBody(secretBox, uuid, body),
      }))
    },
    /** The inventory that these enrollments were asked for by the server and have not told yet, the oldest first. */
    unansweredInventory: (executor: Queries, ids: readonly string[]) =>
      store.unansweredInventory(executor, ids),
    /** The plist of a command from how it is kept. */
    openBody: createBodyOpener(secretBox),
    list: (query: Parameters<typeof store.listCommands>[1]) => store.listCommands(db.kysely, query),
    /** The deliveries of a command to these of its targets. */
    deliveries: (uuid: string, targets: readonly string[]) => store.deliveriesOf(db.kysely, uuid, targets),
    /** What is pending for an enrollment, in order. */
    pending: (enrollmentId: string) => store.pendingOf(db.kysely, enrollmentId),
    /** What an enrollment has finished, newest first. */
    history: (enrollmentId: string, query: Parameters<typeof store.historyOf>[2]) =>
      store.historyOf(db.kysely, enrollmentId, query),
    /** A command that an enrollment has ended, with its plist and the answer as it came, packed. */
    async answered(trx: Tx, enrollmentId: string, uuid: string) {
      const found = await store.findAnswered(trx, enrollmentId, uuid)
      return found && { ...found, body: openBody(secretBox, uuid, found.body) }
    },
    /** Whether an enrollment has a command of this type to do. */
    isPending: (trx: Tx, enrollmentId: string, requestType: string) =>
      store.isPending(trx, enrollmentId, requestType),
    /** The device's answer as it came, deflated. */
    result: (enrollmentId: string, uuid: string) => store.findResult(db.kysely, enrollmentId, uuid),
    /** Pending commands with their plists, oldest first. */
    async pendingPlists(enrollmentId: string, query: Parameters<typeof store.pendingCommandsOf>[2]) {
      const rows = await store.pendingCommandsOf(db.kysely, enrollmentId, query)
      return rows.map((row) => ({ ...row, body: openBody(secretBox, row.uuid, row.body) }))
    },
    /** What became of a command to an enrollment; undefined when there is no such thing. */
    async answerTo(trx: Tx, enrollmentId: string, uuid: string): Promise<Answer | undefined> {
      const delivery = (await store.deliveriesOf(trx, uuid, [enrollmentId])).at(-1)
      return delivery && answerOf(delivery)
    },
    /** How many deliveries wait in each state. */
    countPending: () => db.bulk(countPending),
    /** Which of these enrollments have anything pending. */
    withPending: (ids: readonly string[], queries: Queries = db.kysely) => store.withPending(queries, ids),
  }
}
