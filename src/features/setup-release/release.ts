import type { Tx } from '../../db/index.ts'
import { dueHolds, holdsToLookAt } from '../../db/statements/holds.ts'
import { createPassLoop } from '../../kernel/pass-loop.ts'
import type { Enrollment } from '../devices/index.ts'
import { firstCommandsOf } from '../enrollment/index.ts'
import { configurationDeadlineMinutes } from '../enrollment-policies/index.ts'
import type { EventType, PublishedEvent } from '../events/index.ts'
import { carryOut } from './carry-out.ts'
import type { Contents, ReleaseDeps } from './deps.ts'
import { decide, LONGEST_PAUSE_SECONDS, LONGEST_WAIT_SECONDS, type Input } from './machine.ts'
import * as store from './store.ts'

const PAGE = 500
/** What ends in the same moment is looked at together. */
const DEBOUNCE_MS = 100

/** What is known first of a device that is held, what it waits for, and what ends its hold before its time. */
export const RELEASE_FACTS = [
  'device.enrolled',
  'device.checked_out',
  'device.unenrolled',
  'delivery.planned',
  'delivery.installed',
  'delivery.failed',
] as const satisfies readonly EventType[]

/** How phones are let out of Setup Assistant. */
export type SetupRelease = ReturnType<typeof createSetupRelease>

/** Nothing is known of what a device is to have: it is let go when its time is over, and not before. */
const UNKNOWN: Contents = {
  criticalState: () => Promise.resolve({ computed: false, open: 0, missing: [] }),
  retryCritical: () => Promise.resolve(0),
}

/** A device that waits is let go when its critical things are done, at the latest at a stored deadline. */
export function createSetupRelease(deps: ReleaseDeps) {
  const { db, clock, log } = deps
  const woken = new Set<string>()
  let isJobDue = false
  const passes = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    async pass() {
      const ids = [...woken]
      woken.clear()
      for (const id of await holdsToLookAt(db.kysely, ids, clock.now())) await goOnOrTell(deps, id)
      if (!isJobDue) return
      isJobDue = false
      await goOnWithDue(deps)
    },
    onFailure: (error) =>
      log.error({ event: 'release.pass_failed', err: error }, 'releases could not be gone on with'),
  })

  /** Something has happened to these devices, of which those that are held are looked at soon. */
  function wake(ids: readonly string[]): void {
    for (const id of ids) woken.add(id)
    passes.wake()
  }

  return {
    wake,
    /** Subscription on `RELEASE_FACTS`. */
    async follow(facts: readonly PublishedEvent[]): Promise<void> {
      for (const fact of facts) if (fact.data['awaiting_configuration'] === true) await noteFirst(deps, fact)
      const ids = new Set(facts.flatMap(({ enrollment_id: id }) => id ?? []))
      for (const id of await holdsToLookAt(db.kysely, [...ids], clock.now())) await goOn(deps, id)
    },
    /** A command of a device has ended: soon goes on with its release, if it may be one for which a device waits. */
    commandEnded(id: string, requestType: unknown): void {
      if (requestType === 'DeviceInformation' || requestType === 'DeviceConfigured') wake([id])
    },
    /** Job: goes on with whatever is due. */
    run(): Promise<void> {
      isJobDue = true
      return passes.run()
    },
    close: passes.close,
  }
}

async function goOnWithDue(deps: ReleaseDeps): Promise<void> {
  const limits = { limit: PAGE, longestWait: LONGEST_WAIT_SECONDS, longestPause: LONGEST_PAUSE_SECONDS }
  for (let after = ''; ;) {
    const due = await dueHolds(deps.db.kysely, { ...limits, now: deps.clock.now(), after })
    for (const id of due) await goOnOrTell(deps, id)
    const last = due.at(-1)
    if (last === undefined || due.length < PAGE) return
    after = last
  }
}

/** Goes on with a device. When nobody can say what it is to have it is let go all the same, once its time is over. */
async function goOnOrTell(deps: ReleaseDeps, id: string): Promise<void> {
  try {
    await goOn(deps, id).catch((error: unknown) => {
      tellFailure(deps, id, error)
      return goOn({ ...deps, contents: UNKNOWN }, id)
    })
  } catch (error) {
    tellFailure(deps, id, error)
  }
}

function tellFailure({ log }: ReleaseDeps, enrollment_id: string, error: unknown): void {
  log.error({ event: 'release.failed', enrollment_id, err: error }, 'a release could not be gone on with')
}

/** Notes what a device is asked first that has said at once that it waits. */
function noteFirst({ db }: ReleaseDeps, said: PublishedEvent): Promise<void> {
  const { enrollment_id: id, at } = said
  if (id === null) return Promise.resolve()
  return db.transaction((trx) =>
    store.setFirstCommands(trx, id, { at, command_uuids: firstCommandsOf(said) }),
  )
}

/** Goes on with what a device is owed, as far as it can at this moment. */
function goOn(deps: ReleaseDeps, id: string): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const device = await deps.devices.lockEnrollment(trx, id)
    const owed = await store.lockOwed(trx, id)
    if (owed === undefined) return
    let decision = decide(owed, await look(trx, deps, owed, device), deps.clock.now())
    if (decision.do === 'retry') {
      await deps.contents.retryCritical(trx, id)
      // What is on its way now is waited for; what cannot be tried again is missing.
      decision = decide(decision.hold, await look(trx, deps, owed, device), deps.clock.now())
    }
    if (decision.do === 'wait' && decision.hold === owed) return
    return carryOut(trx, deps, { id, decision, device })
  })
}

/** What the rows say of a device at this moment. */
async function look(
  trx: Tx,
  deps: ReleaseDeps,
  owed: store.Release,
  device: Enrollment | undefined,
): Promise<Input> {
  const { enrollment_id: id, configured_uuid: uuid } = owed
  if (device === undefined || hasLeft(device, owed)) return { is: 'gone' }
  if (owed.reason !== null) {
    const answer = uuid === null ? undefined : await deps.commands.answerTo(trx, id, uuid)
    return { is: 'told', answer: answer?.state ?? 'none' }
  }
  const policy = device.policy_id === null ? undefined : await deps.policies.find(trx, device.policy_id)
  return {
    is: 'held',
    isHolding: policy?.ade.await_device_configured ?? false,
    minutes: configurationDeadlineMinutes(policy ?? { ade: { configuration_deadline_minutes: null } }),
    areFirstCommandsDone: await areDone(trx, deps, owed),
    critical: await deps.contents.criticalState(trx, id),
  }
}

/** An enrollment that has ended, began anew, or whose device was erased is owed nothing of before. */
function hasLeft({ unenrolled_at, erased_at, generation }: Enrollment, owed: store.Release): boolean {
  return unenrolled_at !== null || erased_at !== null || generation !== owed.generation
}

async function areDone(trx: Tx, { commands }: ReleaseDeps, owed: store.Release): Promise<boolean> {
  for (const uuid of owed.command_uuids ?? []) {
    const answer = await commands.answerTo(trx, owed.enrollment_id, uuid)
    if (answer === undefined || answer.state === 'pending') return false
  }
  return owed.command_uuids !== null
}
