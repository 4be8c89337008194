import { randomUUID } from 'node:crypto'
import type { Db, Tx } from '../../../src/db/index.ts'
import { runPolls } from '../../../src/db/statements/poll.ts'
import { writeTokens } from '../../../src/db/statements/token-update.ts'
import { createAttempts } from '../../../src/features/attempts/index.ts'
import { createCommands } from '../../../src/features/commands/index.ts'
import { createDevices } from '../../../src/features/devices/index.ts'
import { takeFirstSteps } from '../../../src/features/enrollment/first-steps.ts'
import { createEvents } from '../../../src/features/events/index.ts'
import { nextEvents } from '../../../src/features/events/subscriptions-store.ts'
import { createGovernor } from '../../../src/features/governor/index.ts'
import { createPush } from '../../../src/features/push/index.ts'
import { createSetupRelease, RELEASE_FACTS } from '../../../src/features/setup-release/index.ts'
import { actOfServer } from '../../../src/kernel/act.ts'
import { addTime, type Clock } from '../../../src/kernel/clock.ts'
import { createLog } from '../../../src/kernel/log.ts'
import { createMetrics } from '../../../src/kernel/metrics.ts'
import { createSecretBox } from '../../../src/kernel/secret-box.ts'
import { makePartitions } from '../../../src/retention.ts'
import { openAttempt } from '../../support/open-attempt.ts'
import { criticalState, retryCritical } from './critical.ts'
import type { Circumstances, World } from './phone.ts'

const TOPIC = 'com.apple.mgmt.example'
const KEPT_BYTES = 1 << 20
const POLICY = 'the policy'
/** In the middle of a month that has its partitions. */
const START = new Date(new Date().toISOString().replace(/-\d\dT.*/, '-15T12:00:00Z'))

/** Makes worlds on a database, with the real slice, one after the other; each has a device of its own. */
export async function storeWorlds(db: Db): Promise<(circumstances: Circumstances) => Promise<World>> {
  let now = START
  const clock: Clock = { now: () => now, after: () => () => undefined }
  await makePartitions(db, clock)
  const log = createLog({ level: 'silent', destination: { write: () => undefined } })
  const metrics = createMetrics()
  const secretBox = createSecretBox({ key: Buffer.alloc(32, 7) })
  const base = { db, clock, log, metrics, secretBox }
  const events = createEvents(base)
  const reader = { readList: () => Promise.reject(new Error('no lists here')) }
  const devices = createDevices({ db, clock, reader })
  const attempts = createAttempts({ ...base, events })
  const service = { url: 'https://127.0.0.1:1' }
  const push = createPush({ ...base, events, devices, box: secretBox, service, random: () => 0.5 })
  const governor = createGovernor({ ...base, events })
  const commands = createCommands({ ...base, events, governor, devices, push, enrollmentIdentifier: 'ours' })
  let seen = 0

  /** The slice in a process that may die. */
  function process(circumstances: Circumstances) {
    let calls = 0
    const mortal =
      <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
      async (...args: Args): Promise<Result> => {
        calls = circumstances.diesAt === 0 ? 0 : calls + 1
        if (calls > 0 && calls >= circumstances.diesAt) throw new Error('the process was killed')
        return work(...args)
      }
    const survive = mortal(() => Promise.resolve())
    const ade = () => ({
      await_device_configured: circumstances.isHolding,
      configuration_deadline_minutes: circumstances.minutes,
    })
    return createSetupRelease({
      ...{ clock, log },
      db: {
        ...db,
        transaction: async (work) => {
          const result = await db.transaction(work)
          await survive()
          return result
        },
      },
      events: { emit: mortal(events.emit) },
      attempts: { find: mortal(attempts.find), step: mortal(attempts.step) },
      devices: {
        lockEnrollment: mortal(devices.lockEnrollment),
        updateEnrollment: mortal(devices.updateEnrollment),
      },
      push: { request: mortal(push.request) },
      commands: {
        enqueue: mortal(commands.enqueue),
        answerTo: mortal(commands.answerTo),
        withPending: mortal(commands.withPending),
      },
      policies: { find: mortal(() => Promise.resolve({ ade: ade() } as never)) },
      contents: {
        criticalState: mortal(() => Promise.resolve(criticalState(circumstances))),
        retryCritical: mortal(() => Promise.resolve(retryCritical(circumstances))),
      },
    })
  }

  return async (circumstances) => {
    now = START
    const id = randomUUID()
    const fingerprint = Buffer.from(id)
    let release = process(circumstances)
    const attempt = await db.transaction((trx) =>
      openAttempt(trx, clock, { way: 'ade', deadline: addTime(now, 1, 'hour') }),
    )
    await db.kysely
      .insertInto('enrollments')
      .values({
        ...{ id, type: 'device', topic: TOPIC, policy_id: POLICY, attempt_id: attempt },
        ...{ authenticated_at: now, created_at: now, updated_at: now },
      })
      .execute()
    await db.kysely
      .insertInto('enrollment_certificates')
      .values({ enrollment_id: id, fingerprint, state: 'active', renewal: false, bound_at: now })
      .execute()

    const row = () =>
      db.kysely.selectFrom('enrollments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    const hold = () =>
      db.kysely.selectFrom('setup_releases').selectAll().where('enrollment_id', '=', id).executeTakeFirst()
    const change = (set: Partial<Awaited<ReturnType<typeof row>>>, isQueueOver: boolean) =>
      db.transaction(async (trx: Tx) => {
        await devices.lockEnrollment(trx, id)
        await devices.updateEnrollment(trx, id, { ...set, updated_at: now })
        if (isQueueOver) await commands.cancelAll(trx, actOfServer('device'), [id])
      })

    return {
      circumstances,
      now: () => now,
      move: (seconds) => void (now = addTime(now, seconds, 'second')),
      generation: async () => (await row()).generation,
      async isGone() {
        const { unenrolled_at, erased_at } = await row()
        return unenrolled_at !== null || erased_at !== null
      },
      hold,
      async countConfigured() {
        const pending = await commands.pending(id)
        return pending.filter(({ request_type }) => request_type === 'DeviceConfigured').length
      },
      async tokenUpdate(awaiting) {
        const write = {
          ...{ enrollmentId: id, deviceId: id, type: 'device' as const, fingerprint, topic: TOPIC },
          ...{ pushToken: Buffer.alloc(32), pushMagic: 'magic', unlockToken: null, notOnConsole: null },
          awaitingConfiguration: awaiting ?? null,
          ...{ raw: Buffer.from('raw'), digest: Buffer.from(`${awaiting}`) },
        }
        await writeTokens(db, [write], KEPT_BYTES, now)
        if (awaiting === true) release.wake([id])
      },
      async enrolAnew() {
        const { generation } = await row()
        const fresh = { enrolled_at: null, unenrolled_at: null, erased_at: null, token_update_tally: 0 }
        await change({ ...fresh, generation: generation + 1, awaiting_configuration: false }, true)
      },
      unenrol: () => change({ unenrolled_at: now }, true),
      erase: () => change({ erased_at: now }, false),
      async poll({ status, uuid }) {
        const [outcome] = await runPolls(
          db,
          [
            {
              ...{ enrollmentId: id, deviceId: id, fingerprint, status, commandUuid: uuid ?? null },
              errorChain:
                status === 'Error' ? '[{"ErrorDomain": "MCMDMErrorDomain", "ErrorCode": 12021}]' : null,
              raw: uuid === undefined || status === 'NotNow' ? null : Buffer.from('raw'),
              ...{ inventoryKind: null, inventory: null, facts: null, problem: null },
            },
          ],
          now,
        )
        if (outcome?.told_data) release.commandEnded(id, outcome.told_data['request_type'])
        const next = outcome?.next_uuid ?? null
        const command = next === null ? undefined : await commands.find(next)
        return command && { uuid: command.uuid, requestType: command.request_type }
      },
      async cancel() {
        const uuid = (await hold())?.configured_uuid ?? null
        if (uuid !== null) await commands.cancel(uuid, actOfServer())
      },
      async follow() {
        await events.publish()
        const facts = await nextEvents(db.kysely, { after: seen, types: RELEASE_FACTS, limit: 200 })
        seen = facts.at(-1)?.id ?? seen
        const enrolled = facts.filter(({ type }) => type === 'device.enrolled')
        await takeFirstSteps({ db, commands }, enrolled)
        await release.follow(facts)
      },
      goOnWithWoken: () => release.run(),
      job: () => release.run(),
      kill: () => void (release = process(circumstances)),
    }
  }
}
