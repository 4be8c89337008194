import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Db } from '../../src/db/index.ts'
import {
  createDeviceHttp,
  createFakeAppleCa,
  createKeyPool,
  createPhoneMaker,
  deliverPushes,
  startFakeAde,
  type FakeAde,
  type FakeAppleCa,
  type Phone,
} from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, type TestApp } from './app.ts'
import { testKey } from './keys.ts'
import { manualClock, type ManualClock } from './manual-clock.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Wishes = NonNullable<Parameters<ReturnType<typeof createPhoneMaker>>[0]>
type Json = Record<string, unknown>

const SERVER = 'Phones'
/** Less than a test may take, so that what did not come is said. */
const PATIENCE_MS = 200_000

/** A whole server with a fake Apple, whose phones are bought, assigned and powered on. */
export interface AdeApp extends TestApp {
  fake: FakeAde
  ca: FakeAppleCa
  /** Makes a policy for automated enrollment; gives its id. */
  policy(fields?: Json & { ade?: Json }): Promise<string>
  user(name: string, fields?: Json): Promise<string>
  /** Phones that Apple has assigned to the server and that have the policy at Apple. */
  phones(policyId: string, ...wishes: Wishes[]): Promise<Phone[]>
  /** One of them. */
  phone(policyId: string, wishes?: Wishes): Promise<Phone>
  /** A phone that is not bought. */
  stranger(wishes?: Wishes): Promise<Phone>
  /** What Apple gives the phone at activation. */
  activation(phone: Phone): { url: string; webUrl: string | undefined }
  /** The newest attempt of a serial number. */
  attemptOf(phone: Phone): Promise<Attempt>
  attemptsOf(phone: Phone): Promise<Attempt[]>
  /** Events with this reason that an attempt has. */
  eventsOf(attemptId: string): Promise<{ type: string; reason: string | null; data: Json }[]>
  /** The count of events by type and reason. */
  counted(reason: string): Promise<number>
  /** Assigns serial numbers and waits until Apple has it. */
  assign(policyId: string, serials: string[]): Promise<void>
  serverId: string
  /** Moves the clock by a step at a time until it is so. */
  until(isSo: () => Promise<boolean> | boolean, stepMs: number): Promise<void>
}

export interface Attempt {
  id: string
  way: string
  outcome: string
  reason: string | null
  user_name: string | null
  policy_id: string | null
  enrollment_id: string | null
  timeline: { step: string; outcome: string; reason: string | null; detail: Json }[]
}

/** Starts it. A second one with `with` is another process with the same Apple. */
export async function startAdeApp(options: {
  db: Db
  with?: AdeApp
  clock?: ManualClock
  settings?: Record<string, string>
}): Promise<AdeApp> {
  const clock = options.with?.clock ?? options.clock ?? manualClock()
  const fake = options.with?.fake ?? (await startFakeAde({ clock }))
  const ca = options.with?.ca ?? (await createFakeAppleCa(clock.now()))
  const folder = temporaryFolder()
  const caFile = join(folder.path, 'ca.pem')
  await writeFile(caFile, ca.pem)
  const world = await startTestApp({
    db: options.db,
    clock,
    ...(options.with && { apns: options.with.apns }),
    activity: () => fake.calls.length,
    settings: {
      FIRSTBOOT_ADE_URL: fake.url,
      FIRSTBOOT_MACHINE_INFO_CA_FILE: caFile,
      ...options.settings,
    },
  })
  const { api, url } = world
  const http = createDeviceHttp()
  const activate = (serial: string) => fake.activate(serial)
  const pushes = deliverPushes(world.apns)
  const make = createPhoneMaker({
    ...{ ca, http, activate, clock, pushes, seed: `phones ${Math.random()}` },
    keys: createKeyPool(2, [testKey('device'), testKey('other')]),
  })

  const serverId = options.with?.serverId ?? (await connect())

  async function connect(): Promise<string> {
    const server = await api('POST', '/ade-servers', { name: SERVER })
    const key = await fetch(`${url}/api/v1/ade-servers/${server.body.id}/encryption-key`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    })
    const file = fake.portal.addServer({ name: SERVER, certificatePem: await key.text() })
    const stored = await fetch(
      `${url}/api/v1/ade-servers/${server.body.id}/token?apple_id=admin@example.com`,
      {
        method: 'PUT',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/octet-stream' },
        body: new Uint8Array(file),
      },
    )
    expect(stored.status).toBeLessThan(300)
    await synced(server.body.id)
    return server.body.id
  }

  /** Moves the clock by a step at a time until it is so; the jobs are real work between the steps. */
  async function until(isSo: () => Promise<boolean> | boolean, stepMs: number): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while (!(await isSo())) {
      if (Date.now() > deadline) throw new Error(`it did not become true: ${isSo.toString()}`)
      clock.advance(stepMs)
      await world.settle()
    }
  }

  async function synced(id: string): Promise<void> {
    await until(async () => (await api('GET', `/ade-servers/${id}`)).body.sync.running === false, 50)
  }

  async function assign(policyId: string, serials: string[]): Promise<void> {
    const { status } = await api('POST', `/enrollment-policies/${policyId}/assign`, {
      serial_numbers: serials,
    })
    expect(status).toBeLessThan(300)
    await until(async () => {
      const answers = await Promise.all(serials.map((serial) => api('GET', `/ade-devices/${serial}`)))
      return answers.every(({ body }) => body.assignment?.state === 'assigned')
    }, 500)
  }

  async function phones(policyId: string, ...wishes: Wishes[]): Promise<Phone[]> {
    const made = await Promise.all(wishes.map((wish) => make(wish)))
    const serials = made.map(({ facts }) => facts.serialNumber)
    fake.portal.addDevices(serials, SERVER)
    let started = await api('POST', `/ade-servers/${serverId}/syncs`)
    // After a leap of the clock a scheduled one may run first.
    while (started.body.code === 'sync_running') {
      await synced(serverId)
      started = await api('POST', `/ade-servers/${serverId}/syncs`)
    }
    expect(started.status).toBe(202)
    await synced(serverId)
    await assign(policyId, serials)
    return made
  }

  const attemptsOf = async (phone: Phone): Promise<Attempt[]> =>
    (await api('GET', `/enrollment-attempts?serial_number=${phone.facts.serialNumber}`)).body.items

  return {
    ...world,
    ...{ fake, ca, serverId, phones, attemptsOf, assign, until },
    async policy({ ade = {}, ...fields } = {}) {
      const name = `Policy ${Math.random()}`
      const made = await api('POST', '/enrollment-policies', {
        name,
        ...fields,
        ade: { enabled: true, ...ade },
      })
      expect(made.status, JSON.stringify(made.body)).toBe(201)
      return made.body.id
    },
    async user(name, fields = {}) {
      const made = await api('POST', '/users', { user_name: name, password: 'right password', ...fields })
      expect(made.status).toBe(201)
      return made.body.id
    },
    async phone(policyId, wishes = {}) {
      const [phone] = await phones(policyId, wishes)
      return phone!
    },
    stranger: (wishes = {}) => make(wishes),
    activation(phone) {
      const content: Json = fake.activate(phone.facts.serialNumber)?.content ?? {}
      const webUrl = content['configuration_web_url']
      return { url: String(content['url']), webUrl: typeof webUrl === 'string' ? webUrl : undefined }
    },
    async attemptOf(phone) {
      const [attempt] = await attemptsOf(phone)
      if (attempt === undefined) throw new Error('there is no attempt')
      return attempt
    },
    async eventsOf(attemptId) {
      const rows = await options.db.kysely
        .selectFrom('event_outbox')
        .select(['type', 'reason', 'data', 'attempt_id'])
        .unionAll(options.db.kysely.selectFrom('events').select(['type', 'reason', 'data', 'attempt_id']))
        .execute()
      return rows.filter((row) => row.attempt_id === attemptId)
    },
    async counted(reason) {
      const text = await (
        await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } })
      ).text()
      const lines = text.split('\n').filter((line) => line.startsWith('firstboot_events_total{'))
      return lines
        .filter((line) => line.includes(`reason="${reason}"`))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    },
    async close() {
      await world.close()
      http.close()
      await folder.remove()
      if (!options.with) await fake.close()
    },
  }
}
