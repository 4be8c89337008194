import { createGroupCommit, type Db } from '../../db/index.ts'
import {
  endUnreadable,
  isPending,
  runLargePoll,
  runPolls,
  type Poll,
  type PollOutcome,
  POLLS_AT_ONCE,
  TELLING_ACTS,
} from '../../db/statements/poll.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { packBytes, type ReadResult } from '../../protocol/mdm/index.ts'
import type { Commands } from '../commands/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import type { Devices } from '../devices/index.ts'
import { refused, type Enrollment, type Refused } from '../enrollment/index.ts'
import { toldBy, type Events } from '../events/index.ts'
import type { SetupRelease } from '../setup-release/index.ts'
import { NOTHING_NEW, outgoing, type OutgoingDeps } from './outgoing.ts'

/** Statements in flight; on the embedded database there is one connection, so a second would only wait. */
const LANES = { postgres: 2, embedded: 1 } as const
/** A message beyond this size does not share its statement with others, who would wait for its bytes. */
const ALONE_BYTES = 64 * 1024

interface ConnectDeps {
  db: Db
  clock: Clock
  metrics: Metrics
  events: Events
  devices: Devices
  commands: OutgoingDeps['commands'] & Pick<Commands, 'answers'>
  deliveries: OutgoingDeps['deliveries']
  identity: DeviceIdentity
  enrollment: Pick<Enrollment, 'findCaller'>
  setupRelease: Pick<SetupRelease, 'commandEnded'>
}

/** The next command's plist, an empty answer, or a refusal. */
type Answer = { body: Buffer | null; enrollmentId: string; serialNumber: string | null } | Refused

/** Makes the command endpoint: takes results and gives the next command. */
export function createConnect(deps: ConnectDeps) {
  const { db, clock, metrics } = deps
  const batches = createGroupCommit<Poll, PollOutcome | undefined>({
    key: (poll) => poll.enrollmentId,
    run: (polls) => {
      metrics.batchSize.observe({ statement: 'poll' }, polls.length)
      return runPolls(db, polls, clock.now())
    },
    maxBatch: POLLS_AT_ONCE,
    lanes: LANES[db.kind],
  })

  async function submit(poll: Poll): Promise<PollOutcome | undefined> {
    const size = (poll.raw?.length ?? 0) + (poll.inventory?.length ?? 0)
    if (size < ALONE_BYTES) return batches.submit(poll)
    if (await isPending(db, poll.enrollmentId, poll.commandUuid ?? ''))
      return runLargePoll(db, poll, clock.now())
    // Nobody asked for this: it is answered like any other poll, and its bytes need not travel to the database.
    return batches.submit({ ...poll, raw: null, inventory: null, inventoryKind: null })
  }

  async function connect(
    message: ReadResult,
    from: { fingerprint: Buffer; requestId: string },
  ): Promise<Answer> {
    const poll = toPoll(message, from.fingerprint)
    let outcome = await submit(poll)
    if (!outcome) {
      const caller = await deps.enrollment.findCaller(from, message.identity)
      if ('reason' in caller) return caller
      poll.enrollmentId = caller.id
      poll.deviceId = caller.deviceId
      outcome = await submit(poll)
      // The enrollment ended between the two.
      if (!outcome) return refused('enrollment_ended')
    }
    await follow(poll, outcome, from.requestId)
    const { enrollmentId } = poll
    const serialNumber = outcome.serial_number
    if (outcome.next_uuid === null) return { body: null, enrollmentId, serialNumber }
    const body = await outgoing(deps, outcome, {
      enrollmentId,
      requestId: from.requestId,
      told: message.inventory?.facts,
      behind: () => batches.submit({ ...poll, ...NOTHING_NEW }),
    })
    return { body, enrollmentId, serialNumber }
  }

  /** What is to be told or done after the commit. */
  async function follow(poll: Poll, outcome: PollOutcome, requestId: string): Promise<void> {
    deps.devices.seen(poll.enrollmentId)
    if (outcome.is_new_voice) await deps.identity.noteUse(db.kysely, poll.deviceId, poll.fingerprint)
    if (outcome.pushed_at)
      metrics.pushToContact.observe((clock.now().getTime() - outcome.pushed_at.getTime()) / 1000)
    const { told_type, told_data, finished_purpose, serial_number } = outcome
    if (told_type === null || told_data === null) return
    const { enrollmentId: enrollment_id } = poll
    deps.events.announce({
      ...toldBy({ told_type, told_data }),
      enrollment_id,
      serial_number,
      request_id: requestId,
    })
    if (isAwaited(poll, outcome)) deps.commands.answers.wake()
    deps.setupRelease.commandEnded(enrollment_id, told_data['request_type'])
    if (finished_purpose === 'unenroll' && told_type === 'command.acknowledged')
      await deps.commands.answers.takeNow({
        topic: 'act',
        enrollment_id,
        command_uuid: poll.commandUuid ?? '',
      })
  }

  /** Takes note of a body that a device of ours has sent and nobody can read: a command is not sent for ever for it. */
  async function unreadable(
    body: Buffer,
    problem: string,
    from: { fingerprint: Buffer; requestId: string },
  ): Promise<void> {
    const bindings = await deps.identity.bindings(db.kysely, from.fingerprint)
    const device = bindings.find(({ state }) => state === 'active')
    if (device === undefined) return
    await deps.devices.noteAlive(db.kysely, device.enrollment_id)
    const ended = await endUnreadable(
      db,
      device.enrollment_id,
      { raw: packBytes(body), problem },
      clock.now(),
    )
    if (ended === undefined) return
    const { enrollment_id, serial_number } = ended
    deps.events.announce({ ...toldBy(ended), enrollment_id, serial_number, request_id: from.requestId })
    deps.commands.answers.wake()
    deps.setupRelease.commandEnded(enrollment_id, ended.told_data['request_type'])
  }

  return { connect, unreadable, idle: batches.idle }
}

function toPoll(message: ReadResult, fingerprint: Buffer): Poll {
  const finishes = message.status !== 'Idle' && message.status !== 'NotNow'
  return {
    enrollmentId: message.identity.id,
    deviceId: message.identity.deviceId,
    fingerprint,
    status: message.status,
    commandUuid: message.commandUuid ?? null,
    errorChain: message.errorChain ?? null,
    raw: finishes ? message.packed : null,
    inventoryKind: message.inventory?.kind ?? null,
    inventory: message.inventory?.packed ?? null,
    facts: message.inventory?.facts ? JSON.stringify(message.inventory.facts) : null,
    problem: message.unreadable ?? null,
  }
}

/** Whether what a poll has ended may be waited for: then it was written down for whoever takes it in. */
function isAwaited(
  { inventoryKind }: Poll,
  { finished_purpose: purpose, told_data: told }: PollOutcome,
): boolean {
  return purpose !== null || inventoryKind !== null || TELLING_ACTS.includes(String(told?.['request_type']))
}
