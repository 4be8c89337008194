import { setImmediate as nextTurn } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { Db, Tx } from '../../src/db/index.ts'
import { adeApi, createAde, type Ade } from '../../src/features/ade/index.ts'
import { createDevices } from '../../src/features/devices/index.ts'
import { createEnrollmentPolicies } from '../../src/features/enrollment-policies/index.ts'
import { createHttpClient, type HttpClient } from '../../src/kernel/http-client.ts'
import { startFakeAde, type FakeAde } from '../../src/simulator/apple-cloud/fake-ade.ts'
import { apiWorld, doorsOf, operatorsOf } from './api-world.ts'
import { manualClock, type ManualClock } from './manual-clock.ts'
import { ACT } from './act.ts'

const TEN_MINUTES_MS = 10 * 60_000
/** Turns of the event loop and the database in which a sync that makes no pause asks Apple something. */
const LULL_TURNS = 20
const PAUSE_STEP_MS = 5_000

/** The tables of this slice, those that refer to others first. */
const TABLES = [
  ...(['ade_calls', 'ade_profiles', 'ade_devices', 'ade_syncs', 'ade_servers'] as const),
  ...(['enrollment_policies', 'event_outbox', 'idempotency_keys'] as const),
]

/** A server process as far as automated enrollment goes, on a database and against the fake Apple. */
export interface AdeProcess {
  ade: Ade
  emitted: ReturnType<typeof doorsOf>['emitted']
  logged: ReturnType<typeof doorsOf>['logged']
  /** Waits until no sync runs in it. With `pauses` the clock is moved through the pauses that syncs make. */
  idle(options?: { pauses?: boolean }): Promise<void>
  reconcile(): Promise<void>
}

/** Everything around some processes. */
export type AdeWorld = Awaited<ReturnType<typeof adeWorld>>

/** Makes a world with an empty database, the fake Apple and one process; it goes with the test. */
export async function adeWorld(db: Db, options: { http?: (http: HttpClient) => HttpClient } = {}) {
  for (const table of TABLES) await db.kysely.deleteFrom(table).execute()
  const clock = manualClock()
  const fake = await startFakeAde({ clock })
  onTestFinished(() => fake.close())
  const first = process(db, clock, fake, options.http)
  const { ade } = first

  const own = policiesOf(db, clock)
  const policies = {
    ...own,
    /** What a subscription does in a whole server. */
    async update(...args: Parameters<typeof own.update>) {
      const policy = await own.update(...args)
      ade.policyChanged()
      return policy
    },
  }
  const world = {
    ...{ db, clock, fake, ade, policies, first, by: ACT },
    /** Another process on the same database. */
    process: (http?: (http: HttpClient) => HttpClient, publicUrl?: string) =>
      process(db, clock, fake, http, publicUrl),
    /** A server, its token uploaded and its first sync done. */
    async server(name: string, devices: readonly string[] = []): Promise<string> {
      const { id } = await ade.parts.servers.create(name, ACT)
      const { pem } = await ade.parts.servers.encryptionKey(id)
      const file = fake.portal.addServer({ name, certificatePem: pem })
      fake.portal.addDevices(devices, name)
      await ade.parts.tokens.store(id, { file, appleId: 'admin@example.com', force: false }, ACT)
      await first.idle()
      return id
    },
    async policy(name: string, fields: { ade?: object } = {}): Promise<string> {
      const { ade: settings, ...rest } = fields
      return (await policies.create({ name, ...rest, ade: { enabled: true, ...settings } }, ACT)).id
    },
    assign: (policyId: string, serials: readonly string[]) =>
      ade.parts.assignRequests.assign(
        policyId,
        { isCsv: false, serials: serials.map((serial) => ({ serial, line: 0 })) },
        ACT,
      ),
    unassign: (policyId: string, serials: readonly string[]) =>
      ade.parts.assignRequests.unassign(
        policyId,
        { isCsv: false, serials: serials.map((serial) => ({ serial, line: 0 })) },
        ACT,
      ),
    /** A sync by hand, to its end; one that makes pauses moves the clock, if that is allowed. */
    async sync(id: string, how?: { pauses?: boolean }) {
      const { id: runId } = await ade.parts.syncs.startByHand(id, ACT)
      await first.idle(how)
      return db.kysely.selectFrom('ade_syncs').selectAll().where('id', '=', runId).executeTakeFirstOrThrow()
    },
    device: (serial: string) => ade.parts.devices.get(serial),
    /** What a contact of a device at power-on notes. */
    noteContacted: (trx: Tx, serial: string) =>
      trx
        .updateTable('ade_devices')
        .set((eb) => ({ contacted_at: clock.now(), running_profile_uuid: eb.ref('apple_profile_uuid') }))
        .where('serial_number', '=', serial)
        .executeTakeFirst(),
    /** What the first TokenUpdate of a device notes. */
    noteEnrolled: (trx: Tx, serial: string) =>
      trx
        .updateTable('ade_devices')
        .set({ enrolled_at: clock.now() })
        .where('serial_number', '=', serial)
        .executeTakeFirst(),
    /** The API of the process. */
    async api() {
      const operators = operatorsOf(doorsOf(db, clock))
      return apiWorld({ db, clock, operators, routes: adeApi({ ade }) })
    },
  }
  return world
}

function process(
  db: Db,
  clock: ManualClock,
  fake: FakeAde,
  wrap: (http: HttpClient) => HttpClient = (http) => http,
  publicUrl = 'https://mdm.example.com',
): AdeProcess {
  const doors = doorsOf(db, clock)
  const http = createHttpClient({
    ...{ timeoutMs: TEN_MINUTES_MS, maxBytes: 64 * 1024 * 1024, userAgent: 'Firstboot', clock },
  })
  const calls = { begun: 0, underWay: 0 }
  const counting: HttpClient = {
    ...http,
    async request(request) {
      calls.begun += 1
      calls.underWay += 1
      try {
        return await http.request(request)
      } finally {
        calls.underWay -= 1
      }
    },
  }
  const ade = createAde({
    devices: createDevices({
      db,
      clock,
      reader: { readList: () => Promise.reject(new Error('no lists here')) },
    }),
    ...doors,
    http: wrap(counting),
    policies: policiesOf(db, clock),
    service: { url: fake.url },
    publicUrl,
    instanceId: '2f9b0c0e-9a0e-4d6f-8b7d-0c1f5d2f7a10',
  })
  onTestFinished(async () => {
    await ade.close()
    http.close()
  })

  /** Moves the clock for the sake of pauses: never while Apple is being called or was within the last moments. */
  async function throughPauses(work: Promise<unknown>): Promise<void> {
    let isDone = false
    const done = work.finally(() => (isDone = true))
    done.catch(() => undefined)
    for (let seen = -1; !isDone; seen = calls.begun) {
      for (let turn = 0; turn < LULL_TURNS && !isDone; turn++) {
        await nextTurn()
        await db.ping()
      }
      if (!isDone && calls.underWay === 0 && seen === calls.begun) clock.advance(PAUSE_STEP_MS)
    }
    await done
  }

  return {
    ade,
    ...{ emitted: doors.emitted, logged: doors.logged },
    idle: ({ pauses = false } = {}) => (pauses ? throughPauses(ade.idle()) : ade.idle()),
    reconcile: ade.reconcile,
  }
}

function policiesOf(db: Db, clock: ManualClock) {
  const nothing = () => Promise.resolve()
  return createEnrollmentPolicies({
    ...doorsOf(db, clock),
    groups: {
      ensurePolicyGroup: nothing,
      renamePolicyGroup: nothing,
      deletePolicyGroup: nothing,
      hold: nothing,
    },
    signin: { find: () => Promise.resolve(undefined), hold: () => Promise.resolve(undefined) },
  } as unknown as Parameters<typeof createEnrollmentPolicies>[0])
}
