import type { Db, Tx } from '../../db/index.ts'
import { FIRST_PUSH_AGAIN_MINUTES } from '../../db/statements/push-again.ts'
import { actOfServer, type Act } from '../../kernel/act.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Devices } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import type { Push } from '../push/index.ts'
import { openBody, sealBody } from './bodies.ts'
import { PRIORITIES } from './priorities.ts'
import { countPending } from './counts-store.ts'
import { sealPlain } from './seal-plain.ts'
import * as store from './store.ts'

/** Rows handled by one statement of a background job. */
const SWEEP_BATCH = 1_000

/** A command about to be queued; `body` is the whole plist as it goes over the wire. */
export interface NewCommand {
  uuid: string
  requestType: string
  body: Buffer
  /** Enrollment ids; each must be live. */
  targets: readonly string[]
  priority?: keyof typeof PRIORITIES
  notBefore?: Date
  expiresAt?: Date
  /** Commands of our own that mean more than themselves when they are done. */
  purpose?: 'inventory' | 'unenroll'
  /** NanoMDM's `nopush`: leave it to the device when it comes. */
  push?: boolean
  /** When to push again if nothing was heard of the device; by default after 5 minutes. */
  pushAgainAt?: Date
}

/** The queue of commands. */
export type Commands = ReturnType<typeof createCommands>

/** Makes the commands door. */
export function createCommands(deps: {
  db: Db
  clock: Clock
  secretBox: SecretBox
  events: Events
  devices: Devices
  push: Push
}) {
  const { db, clock, secretBox, events, devices, push } = deps

  /**
   * Queues a command with `trx` and asks for the pushes. Errors: `conflict` when the uuid was used before or a target
   * is not enrolled.
   */
  async function enqueue(trx: Tx, act: Act, command: NewCommand): Promise<void> {
    const now = clock.now()
    const targets = [...new Set(command.targets)]
    const live = await devices.liveIds(trx, targets)
    const unknown = targets.filter((id) => !live.has(id))
    if (unknown.length > 0) throw new AppError('conflict', `Not enrolled: ${unknown.slice(0, 10).join(', ')}`)
    const row: store.Command = {
      uuid: command.uuid,
      request_type: command.requestType,
      purpose: command.purpose ?? null,
      body: sealBody(secretBox, command.uuid, command.body),
      priority: PRIORITIES[command.priority ?? 'normal'],
      not_before: command.notBefore ?? null,
      expires_at: command.expiresAt ?? null,
      target_ids: targets,
      created_by: nameOf(act),
      created_at: now,
    }
    if (!(await store.insertCommand(trx, row)))
      throw new AppError('conflict', `The CommandUUID ${command.uuid} was used before.`)
    const later = addTime(command.notBefore ?? now, FIRST_PUSH_AGAIN_MINUTES, 'minute')
    await store.insertDeliveries(trx, row, command.pushAgainAt ?? later)
    if (command.push !== false)
      await push.request(trx, targets, command.notBefore ? { dueAt: command.notBefore } : {})
    await events.emit(trx, {
      type: 'command.queued',
      act,
      enrollment_id: targets.length === 1 ? targets[0]! : null,
      data: { command_uuid: row.uuid, request_type: row.request_type, devices: targets.length },
    })
  }

  /** Cancels all that is pending for these enrollments: they enrolled anew, left or were removed. */
  async function cancelAll(trx: Tx, act: Act, enrollmentIds: readonly string[]): Promise<void> {
    const gone = await store.cancelPendingOf(trx, enrollmentIds, clock.now())
    await events.emit(trx, ...gone.map((row) => finished('command.cancelled', row, act)))
  }

  /** Cancels what has not been sent of a command; returns how many deliveries that were. */
  function cancel(uuid: string, act: Act): Promise<number> {
    return db.transaction(async (trx) => {
      const command = await store.findCommand(trx, uuid)
      if (!command) throw new AppError('not_found', `There is no command ${uuid}.`)
      const gone = await store.cancelUnsent(trx, uuid, command.target_ids, clock.now())
      await events.emit(trx, ...gone.map((row) => finished('command.cancelled', row, act)))
      return gone.length
    })
  }

  /** Ends deliveries whose time has run out. A background job. */
  async function expire(): Promise<void> {
    for (;;) {
      const count = await db.transaction(async (trx) => {
        const gone = await store.expireDue(trx, clock.now(), SWEEP_BATCH)
        await events.emit(trx, ...gone.map((row) => finished('command.expired', row, actOfServer())))
        return gone.length
      })
      if (count < SWEEP_BATCH) return
    }
  }

  /** Asks again for pushes to enrollments that should have come for their commands. A background job. */
  async function pushAgain(): Promise<void> {
    for (;;) {
      const count = await db.transaction(async (trx) => {
        const ids = await store.takePushDue(trx, clock.now(), SWEEP_BATCH)
        if (ids.length > 0) await push.request(trx, ids, {})
        return ids.length
      })
      if (count < SWEEP_BATCH) return
    }
  }

  return {
    enqueue,
    cancelAll,
    cancel,
    expire,
    pushAgain,
    /** A command by its uuid, with its plist. */
    async find(uuid: string): Promise<store.Command | undefined> {
      const command = await store.findCommand(db.kysely, uuid)
      return command && { ...command, body: openBody(secretBox, uuid, command.body) }
    },
    /** The plist of a command from how it is kept. */
    openBody: (uuid: string, kept: Buffer) => openBody(secretBox, uuid, kept),
    /** A background job: seals the plists that were written before plists were sealed. */
    sealPlain: () => sealPlain(db, secretBox),
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
    /** The enrollments for which at least one of these commands is pending. */
    pendingAmong: (pairs: Parameters<typeof store.pendingAmong>[1]) => store.pendingAmong(db.kysely, pairs),
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
    /** Deletes commands older than `days` days that are nowhere pending; their results go with their partitions. */
    async forget(days: number): Promise<void> {
      const before = addTime(clock.now(), -days, 'day')
      while ((await store.deleteCommandsBefore(db.kysely, before, SWEEP_BATCH)) === SWEEP_BATCH);
    },
  }
}

/** Who asked for a command, as it is told of that: null = the server itself. */
export function nameOf({ by }: Act): string | null {
  return by && `${by.kind}:${by.id}`
}

function finished(
  type: 'command.cancelled' | 'command.expired',
  row: { enrollment_id: string; command_uuid: string; request_type: string | null },
  act: Act,
) {
  return {
    type,
    act,
    enrollment_id: row.enrollment_id,
    data: { command_uuid: row.command_uuid, request_type: row.request_type },
  }
}
