import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, inject, onTestFinished, test } from 'vitest'
import { openDatabase, type Db } from '../../src/db/index.ts'
import {
  createDeviceHttp,
  createFakeAppleCa,
  createKeyPool,
  createPhoneMaker,
  deliverPushes,
  freePort,
  startFakeAde,
  startFakeApns,
  type FakeAde,
  type FakeApns,
  type Phone,
} from '../../src/simulator/index.ts'
import type { Engine } from '../support/database.ts'
import { testKey } from '../support/keys.ts'
import { placeOf } from '../support/process-place.ts'
import { PROCESS_ADMIN_TOKEN, serverProcess, type ServerProcess } from '../support/server-process.ts'

/** FIRSTBOOT_TEST_CHAOS=full: as much as a small company has, killed again and again, in some minutes. */
const isFull = process.env['FIRSTBOOT_TEST_CHAOS'] === 'full'
const SIZE = isFull
  ? {
      serials: 20_000,
      assigned: 6_000,
      phones: 120,
      limited: 60,
      limit: 20,
      kills: 5,
      slowPages: 6,
    }
  : {
      serials: 2_500,
      assigned: 1_500,
      phones: 10,
      limited: 7,
      limit: 3,
      kills: 1,
      slowPages: 2,
    }
const TIMEOUT_MS = isFull ? 90 * 60_000 : 15 * 60_000
const TOPIC = 'com.apple.mgmt.External.7e570000-0000-4000-8000-00000000cafe'
const PASSWORD = 'right password'

// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any

interface Stage {
  server: ServerProcess
  fake: FakeAde
  apns: FakeApns
  location: { url?: string; dataDir: string }
  make: ReturnType<typeof createPhoneMaker>
}

async function stageOf(engine: Engine): Promise<Stage> {
  const folder = join(inject('runFolder'), randomUUID())
  await mkdir(folder)
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const location = await placeOf(engine, folder)
  const [apns, fake, ca] = await Promise.all([startFakeApns(), startFakeAde(), createFakeAppleCa(new Date())])
  const caFile = join(folder, 'apple-ca.pem')
  await writeFile(caFile, ca.pem)
  const settings = {
    ...{ FIRSTBOOT_ADE_URL: fake.url, FIRSTBOOT_MACHINE_INFO_CA_FILE: caFile },
    FIRSTBOOT_MACHINE_INFO_TRUST: 'enforce',
  }
  const server = serverProcess({ location, port: await freePort(), apns, folder, settings })
  const http = createDeviceHttp()
  onTestFinished(async () => {
    await server.kill()
    http.close()
    await fake.close()
    await apns.close()
  })
  await server.start()
  const push = await apns.certificates.pushCertificate(TOPIC)
  expect((await server.api('PUT', '/push-certificates', push.certificate + push.key)).status).toBe(200)
  const make = createPhoneMaker({
    ...{ ca, http, pushes: deliverPushes(apns), seed: `chaos ${engine}` },
    activate: (serial) => fake.activate(serial),
    keys: createKeyPool(2, [testKey('device'), testKey('other')]),
  })
  return { server, fake, apns, location, make }
}

const call = async ({ server }: Stage, method: string, path: string, body?: unknown): Promise<Json> =>
  (await server.api(method, path, body)).body

/** An ADE server whose token is stored; its first sync has started. A call without an answer is made again. */
async function connect(stage: Stage, name: string, serials: readonly string[]): Promise<string> {
  const { id } = await call(stage, 'POST', '/ade-servers', { name })
  const headers = { authorization: `Bearer ${PROCESS_ADMIN_TOKEN}` }
  const path = `${stage.server.url}/api/v1/ade-servers/${id}`
  const certificatePem = await (await fetch(`${path}/encryption-key`, { headers })).text()
  const file = stage.fake.portal.addServer({ name, certificatePem })
  stage.fake.portal.addDevices(serials, name)
  const stored = await fetch(`${path}/token`, {
    ...{ method: 'PUT', headers: { ...headers, 'content-type': 'application/octet-stream' } },
    body: new Uint8Array(file),
  })
  expect(stored.status).toBe(200)
  return id
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS / 2
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`)
    await pause(100)
  }
}

const synced = (stage: Stage, id: string) =>
  until('the sync ends', async () => {
    const { sync } = await call(stage, 'GET', `/ade-servers/${id}`)
    return sync.last.state === 'succeeded' && !sync.running
  })

/** A person who does not give up: powers the phone on until it is enrolled or the server has said no. */
async function insist(phone: Phone): Promise<'enrolled' | 'refused'> {
  for (;;) {
    const { outcome, httpStatus } = await phone.powerOn()
    if (outcome === 'enrolled') return outcome
    if (outcome === 'refused' && httpStatus === 403) return outcome
    phone.erase()
    await pause(300)
  }
}

/** What was under way when the server was killed. */
interface Moment {
  /** Calls at Apple that were not answered. */
  calls: string[]
  /** Phones that were neither enrolled nor refused. */
  phones: number
}

/** Kills the server while pages, assignments and phones are under way, each time a bit further. */
async function killAlong(stage: Stage, waiting: () => number, isOver: () => boolean): Promise<Moment[]> {
  const { server, fake } = stage
  const moments: Moment[] = []
  while (moments.length < SIZE.kills && !isOver()) {
    const from = fake.calls.length
    const pages = Array.from({ length: SIZE.slowPages }, () => ({ delayMs: 400 }))
    fake.script('/server/devices', 'right', ...pages)
    fake.script('/profile/devices', { delayMs: 400 }, 'lost')
    const underWay = () => fake.calls.slice(from).filter(({ path }) => /devices/.test(path))
    const unanswered = () => underWay().filter(({ status }) => status === 0)
    while (!isOver() && (underWay().length < 2 + moments.length || unanswered().length === 0)) await pause(5)
    moments.push({ calls: unanswered().map(({ path }) => path), phones: waiting() })
    await server.kill()
    fake.clientDied()
    await server.start()
  }
  return moments
}

/** What Apple and the phones know is what the database says, each thing once. */
async function compare(db: Db, stage: Stage, facts: { all: string[]; assigned: string[]; phones: Phone[] }) {
  const { fake } = stage
  const devices = await db.kysely
    .selectFrom('ade_devices')
    .select(['serial_number', 'removed_at', 'policy_id', 'assignment_state'])
    .execute()
  expect(devices.map((row) => row.serial_number).toSorted()).toEqual(facts.all.toSorted())
  expect(devices.filter((row) => row.removed_at !== null)).toEqual([])
  const assigned = new Set(facts.assigned)
  for (const row of devices.filter((each) => assigned.has(each.serial_number)))
    expect(row.assignment_state).toBe('assigned')
  const profiles = new Set(facts.assigned.map((serial) => fake.device(serial).profileUuid))
  expect(profiles.size).toBe(1)
  expect(fake.violations).toEqual([])

  const live = await db.kysely
    .selectFrom('enrollments')
    .select(['id', 'serial_number', 'user_id', 'enrolled_at'])
    .where('unenrolled_at', 'is', null)
    .execute()
  expect(live.filter((row) => row.user_id !== null)).toHaveLength(SIZE.limit)
  expect(live.filter((row) => row.user_id === null)).toHaveLength(SIZE.phones - SIZE.limited)
  const enrolled = facts.phones.filter(({ device }) => device.status() === 'enrolled')
  expect(live.map((row) => row.id).toSorted()).toEqual(enrolled.map((phone) => phone.facts.udid).toSorted())
  expect(live.every((row) => row.enrolled_at !== null)).toBe(true)
  const attempts = await db.kysely
    .selectFrom('enrollment_attempts')
    .select(['serial_number', 'outcome', 'enrollment_id'])
    .execute()
  expect(attempts.filter(({ outcome }) => outcome === 'in_progress')).toEqual([])
  const successes = attempts.filter(({ outcome }) => outcome === 'enrolled').map((row) => row.enrollment_id)
  for (const { facts: own } of enrolled) expect(successes).toContain(own.udid)
  const running = await db.kysely.selectFrom('ade_syncs').select('state').execute()
  expect(running.filter(({ state }) => state === 'running')).toEqual([])
  expect(await db.kysely.selectFrom('ade_calls').selectAll().execute()).toEqual([])
}

test.each(['postgres', 'embedded'] as const)(
  'a server that is killed in the middle of a sync, an assignment and a mass enrolment loses and doubles nothing (%s)',
  { timeout: TIMEOUT_MS },
  async (engine) => {
    const stage = await stageOf(engine)
    const { server, fake } = stage
    const phones = await Promise.all(
      Array.from({ length: SIZE.phones }, (_, index) =>
        stage.make(index < SIZE.limited ? { person: { userName: 'lena', passwords: [PASSWORD] } } : {}),
      ),
    )
    const own = phones.map(({ facts }) => facts.serialNumber)
    const many = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(6, '0')}`)
    const assigned = many('ASSIGN', SIZE.assigned)
    const synchronised = many('SYNC', SIZE.serials)
    const small = await connect(stage, 'Small', [...own, ...assigned])
    await synced(stage, small)
    await call(stage, 'POST', '/users', {
      ...{ user_name: 'lena', password: PASSWORD, device_limit: SIZE.limit },
    })
    const policy = async (name: string, user_affinity: string) =>
      (await call(stage, 'POST', '/enrollment-policies', { name, user_affinity, ade: { enabled: true } })).id
    const [plain, personal, office] = [
      await policy('Plain', 'none'),
      await policy('Personal', 'prompt'),
      await policy('Office', 'none'),
    ]
    const assign = (id: string, serials: readonly string[]) =>
      call(stage, 'POST', `/enrollment-policies/${id}/assign`, { serial_numbers: serials })
    await assign(personal, own.slice(0, SIZE.limited))
    await assign(plain, own.slice(SIZE.limited))
    await until('phones are assigned', async () => own.every((serial) => fake.device(serial).profileUuid))

    let isOver = false
    const outcomes: string[] = []
    const killing = killAlong(
      stage,
      () => phones.length - outcomes.length,
      () => isOver,
    )
    const big = await connect(stage, 'Big', synchronised)
    await assign(office, assigned)
    await Promise.all(phones.map(async (phone) => outcomes.push(await insist(phone))))
    await synced(stage, big)
    await until('all is assigned', async () =>
      assigned.every((serial) => fake.device(serial).profileUuid !== undefined),
    )
    await until('all is noted', async () => {
      const { items } = await call(stage, 'GET', `/ade-devices?policy_id=${office}&limit=1000`)
      return items.every(({ assignment }: Json) => assignment.state === 'assigned')
    })
    isOver = true
    const moments = await killing
    expect(moments).toHaveLength(SIZE.kills)
    expect(moments.flatMap(({ calls }) => calls).length).toBeGreaterThan(0)
    expect(moments.reduce((sum, moment) => sum + moment.phones, 0)).toBeGreaterThan(0)
    if (isFull) process.stdout.write(`${engine}: ${JSON.stringify(moments)}\n`)
    expect(outcomes.filter((outcome) => outcome === 'refused')).toHaveLength(SIZE.limited - SIZE.limit)
    for (const phone of phones) {
      await phone.idle()
      expect([phone.violations(), phone.faults()]).toEqual([[], []])
    }
    expect(stage.apns.violations).toEqual([])
    expect(await server.stop()).toBe(0)
    const db = await openDatabase({ ...stage.location, log: pino({ level: 'silent' }) })
    onTestFinished(db.close)
    await compare(db, stage, { all: [...own, ...assigned, ...synchronised], assigned, phones })
  },
)
