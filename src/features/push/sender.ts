import { createGroupCommit, type Db } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Devices, PushRecord, PushTarget } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import { createRefusals } from './refusals.ts'
import * as store from './store.ts'
import type { Topic, Topics } from './topics.ts'
import { hasToken, held, isReachable, judge, unreachable, type Reachable, type Verdict } from './verdict.ts'

/** Apple keeps a push for a device that is off this long. */
const EXPIRES_AFTER_DAYS = 7
const RECORD_BATCH = 500
/** When Apple cannot be reached every push is delayed; one line in so long says it. */
const TELL_DELAYS_EVERY_MS = 60_000

/** What a sender is made of; `random` gives numbers from 0 to 1. */
export interface SenderDeps {
  db: Db
  clock: Clock
  log: Log
  metrics: Metrics
  events: Pick<Events, 'emit'>
  devices: Pick<Devices, 'pushTargets' | 'recordPushes'>
  topics: Topics
  random: () => number
}

/** How pushes are sent. `probe`: although Apple refuses the topic; `evenIfGone`: although it refused the token. */
interface How {
  probe?: Topic
  evenIfGone?: boolean
}

/** Sends what is claimed and writes down what came of it. */
export type Sender = ReturnType<typeof createSender>

/** A sender with nothing in flight. */
export function createSender(deps: SenderDeps) {
  const { log, devices, topics } = deps
  const push = createPushing(deps)
  const tell = createTelling(deps)
  const recorder = createRecorder(deps)
  const inFlight = new Map<string, Promise<Verdict>>()
  let last: Promise<unknown> = Promise.resolve()

  /**
   * Claims and starts to send, one caller after the other, so that nobody claims what is about to be in flight. Each
   * promise is settled when the outcome is written down, and never rejects.
   */
  function claimAndSend(
    claim: () => Promise<readonly store.Claim[]>,
    how: How = {},
  ): Promise<Map<string, Promise<Verdict>>> {
    const started = last.then(async () => start(await claim(), how))
    last = started.catch(() => undefined)
    return started
  }

  async function start(claims: readonly store.Claim[], how: How): Promise<Map<string, Promise<Verdict>>> {
    const started = new Map<string, Promise<Verdict>>()
    if (claims.length === 0) return started
    if (how.probe === undefined) await topics.refresh()
    const targets = new Map<string, PushTarget>()
    for (const target of await devices.pushTargets(claims.map(({ id }) => id))) targets.set(target.id, target)
    for (const claim of claims) {
      const sending = send(claim, targets.get(claim.id), how).finally(() => {
        if (inFlight.get(claim.id) === sending) inFlight.delete(claim.id)
      })
      inFlight.set(claim.id, sending)
      started.set(claim.id, sending)
    }
    return started
  }

  async function send(claim: store.Claim, target: PushTarget | undefined, how: How): Promise<Verdict> {
    const verdict = await push(claim, target, how)
    tell(verdict, target)
    try {
      await recorder.submit(verdict)
    } catch (error) {
      // The claim runs out and the push is sent again: twice is better than never.
      log.error(
        { event: 'push.not_recorded', ...named(claim, target), err: error },
        'a push was not recorded',
      )
    }
    return verdict
  }

  return {
    claimAndSend,
    /** What is being sent at this moment, by enrollment. */
    inFlight: inFlight as ReadonlyMap<string, Promise<Verdict>>,
    /** Resolves when all that is being sent now is written down. */
    async settled(): Promise<void> {
      await Promise.allSettled(inFlight.values())
    },
  }
}

/** Sends one push, unless it is known not to pass, and judges Apple's answer; never rejects for what the transport does. */
function createPushing(deps: SenderDeps) {
  const { clock, log, topics, random } = deps
  const refusals = createRefusals(deps)

  async function exchange(claim: store.Claim, target: Reachable) {
    try {
      const session = await topics.session(target.topic)
      return await session.push({
        token: target.push_token,
        pushMagic: target.push_magic,
        topic: target.topic,
        expiresAt: addTime(clock.now(), EXPIRES_AFTER_DAYS, 'day'),
      })
    } catch (error) {
      log.error({ event: 'push.failed', ...named(claim, target), err: error }, 'a push could not be sent')
      return { action: 'retry', reason: 'Internal', afterMs: 60_000 } as const
    }
  }

  return async function push(
    claim: store.Claim,
    target: PushTarget | undefined,
    { probe, evenIfGone = false }: How,
  ): Promise<Verdict> {
    if (!hasToken(target) || !(evenIfGone || isReachable(target))) return unreachable(claim)
    const topic = topics.state(target.topic)
    if (probe === undefined && topic.blocked !== null) return held(claim, topic.topic, topic.blocked)
    const outcome = await exchange(claim, target)
    if (outcome.action === 'config_error') await refusals.reject(topic, outcome.reason)
    else if (probe !== undefined && outcome.action !== 'retry') await refusals.restore(topic)
    return judge(outcome, claim, target, { now: clock.now(), random })
  }
}

/** Counts and logs what came of pushes. */
function createTelling({ clock, log, metrics }: SenderDeps) {
  let quietUntil = 0

  return function tell({ result, settlement, apnsId }: Verdict, target: PushTarget | undefined): void {
    metrics.pushes.inc({ result })
    const { claim, becomes, dueAt } = settlement
    log.debug(
      { event: 'push.sent', ...named(claim, target), reason: result, apns_id: apnsId, becomes },
      'Apple has answered a push',
    )
    if (becomes !== 'retried' || clock.now().getTime() < quietUntil) return
    quietUntil = clock.now().getTime() + TELL_DELAYS_EVERY_MS
    log.warn(
      { event: 'push.delayed', reason: result, ...named(claim, target), due_at: dueAt },
      'a push is delayed',
    )
  }
}

/** Writes down what came of pushes, many in one transaction. */
function createRecorder({ db, clock, events, devices }: SenderDeps) {
  return createGroupCommit<Verdict, void>({
    key: ({ settlement }) => settlement.claim.id,
    maxBatch: RECORD_BATCH,
    async run(verdicts) {
      const settlements = verdicts.map(({ settlement }) => settlement)
      const records = verdicts.flatMap(({ record = [] }) => record)
      const facts = verdicts.flatMap(({ event = [] }) => event)
      await db.transaction(async (trx) => {
        const settled = await store.settle(trx, settlements, clock.now())
        if (records.length > 0) await devices.recordPushes(trx, records.map(believed(settled)))
        if (facts.length > 0) await events.emit(trx, ...facts)
      })
      return verdicts.map(() => undefined)
    },
  })
}

/** A device that was heard of while it was being pushed to, which ends the claim, is not gone, whatever Apple says. */
function believed(settled: ReadonlySet<string>): (record: PushRecord) => PushRecord {
  return ({ unregisteredAt, ...record }) =>
    unregisteredAt !== undefined && settled.has(record.id) ? { ...record, unregisteredAt } : record
}

/** Which device a line of the log is about. */
function named({ id }: store.Claim, target: Pick<PushTarget, 'serial_number'> | undefined) {
  const serial = target?.serial_number ?? null
  return { enrollment_id: id, ...(serial !== null && { serial_number: serial }) }
}
