import { startApp, type App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { readEnv } from '../../src/config/env.ts'
import { createReader } from '../../src/config/problems.ts'
import { readGivenSecrets } from '../../src/config/secrets.ts'
import type { Db } from '../../src/db/index.ts'
import { createLog } from '../../src/kernel/log.ts'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import { writePlist } from '../../src/protocol/plist/index.ts'
import { signData } from '../../src/protocol/cms/index.ts'
import type { Identity } from '../../src/protocol/x509/index.ts'
import {
  createApnsCertificates,
  createDevice,
  createDeviceHttp,
  createKeyPool,
  createRandom,
  freePort,
  inventDevice,
  startFakeApns,
  type Device,
  type DeviceOptions,
  type FakeApns,
} from '../../src/simulator/index.ts'
import { testKey } from './keys.ts'
import { manualClock, type ManualClock } from './manual-clock.ts'
import { expectKnownData } from './told-data.ts'

/** A parsed answer, whose shape the test asserts. */
// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any

export const ADMIN_TOKEN = 'the-admin-token-of-these-tests-0123456789'
export const TOPIC = 'com.apple.mgmt.External.7e570000-0000-4000-8000-000000000001'

/** A whole server on a test's database, with a fake APNs and a clock that stands until it is moved. */
export interface TestApp {
  app: App
  url: string
  clock: ManualClock
  apns: FakeApns
  /** All log lines so far. */
  logText(): string
  /** Every reason that a log line gave so far. */
  logReasons(): Set<string>
  /** Calls the operator API as the admin. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json; headers: Headers }>
  /** Makes an enrollment link and gives its address. */
  link(options?: Record<string, unknown>): Promise<string>
  /** A fake device that is not enrolled yet. */
  device(options?: Partial<DeviceOptions>): Device
  /** One that is. */
  enrolled(options?: Partial<DeviceOptions>): Promise<Device>
  /** Waits until a device that has enrolled was asked what it is, has told it, and all is done that follows from that. */
  introduced(device: Device): Promise<void>
  /** Moves the clock and lets the background jobs run, before and after. */
  pass(ms: number): Promise<void>
  /** Lets the background jobs run. */
  settle(): Promise<void>
  /** Ends it. Every event must have been what the catalogue says. */
  close(): Promise<void>
}

const certificates = createApnsCertificates(new Date())
/** Turns of the event loop and the database in which every call of somebody in this process is on its way. */
const SETTLED_TURNS = 5
/** Of waiting for what follows from an enrolment, a tenth of a second each. */
const MOST_ROUNDS = 1_000
/** Rounds in which a device hears of nothing new when all is done. */
const QUIET_ROUNDS = 3
/** Rounds after which a device that has told what it is counts as introduced in any case. */
const MOST_AFTER = 30
let devices = 0

/** Starts it. A second one on the same database is another process as far as the code can tell. */
export async function startTestApp(options: {
  db: Db
  apns?: FakeApns
  clock?: ManualClock
  settings?: Record<string, string>
  /** Grows with what the server asks of others than the fake APNs. */
  activity?: () => number
  /** By default one key of these tests, and none before it. */
  secretKeys?: { secretKey: Buffer; previousSecretKey: Buffer | null }
}): Promise<TestApp> {
  const { db, clock = manualClock(), settings = {} } = options
  const fake = await certificates
  const apns = options.apns ?? (await startFakeApns({ certificates: fake }))
  const port = await freePort()
  const lines: string[] = []
  const env = readEnv({
    FIRSTBOOT_PORT: String(port),
    FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    FIRSTBOOT_ADMIN_TOKEN: ADMIN_TOKEN,
    FIRSTBOOT_APNS_URL: apns.url,
    FIRSTBOOT_LOG_LEVEL: 'debug',
    ...settings,
  })
  const config = { ...loadConfig(env), apns: { url: apns.url, caPem: fake.ca } }
  const app = await startApp({
    config,
    secrets: {
      ...(options.secretKeys ?? { secretKey: Buffer.alloc(32, 7), previousSecretKey: null }),
      adminToken: ADMIN_TOKEN,
      adminTokenFile: null,
      databaseUrl: null,
      deviceCa: null,
      declarationKeys: readGivenSecrets(createReader(env)).declarationKeys,
    },
    log: createLog({
      level: config.logLevel,
      destination: { write: (line: string) => void lines.push(line) },
    }),
    clock,
    db,
  })
  const url = app.addresses.main
  const http = createDeviceHttp()
  const keys = createKeyPool(2, [testKey('device'), testKey('other')])

  const api: TestApp['api'] = async (method, path, body) => {
    const isBytes = body instanceof Uint8Array
    const type =
      typeof body === 'string'
        ? 'application/x-pem-file'
        : isBytes
          ? 'application/octet-stream'
          : 'application/json'
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body !== undefined && { 'content-type': type }),
      },
      ...(body !== undefined && {
        body: typeof body === 'string' ? body : isBytes ? new Uint8Array(body) : JSON.stringify(body),
      }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? null : JSON.parse(text), headers: response.headers }
  }

  const link: TestApp['link'] = async (wanted = { uses: 1000 }) =>
    (await api('POST', '/enrollment-links', wanted)).body.url

  const byToken = new Map<string, Device>()
  apns.onPush((token, magic) => byToken.get(token)?.receivePush({ token, magic, topic: TOPIC }))

  /**
   * Jobs, and calls of others, are real work of the event loop and the database, however long a busy machine takes for it:
   * they are done when both have taken many turns and nothing more was asked of anybody. The clock may move then: no call
   * that is under way exceeds its time by it.
   */
  async function settle(): Promise<void> {
    for (let seen = -1; seen !== activity();) {
      seen = activity()
      for (let turn = 0; turn < SETTLED_TURNS; turn++) {
        await new Promise((resolve) => setImmediate(resolve))
        await db.ping()
      }
    }
  }

  async function pass(ms: number): Promise<void> {
    await settle()
    clock.advance(ms)
    await settle()
  }

  /** Whether all events are published, and it is known what a device is to have. */
  async function isFollowed(id: string): Promise<boolean> {
    const waiting = await db.kysely.selectFrom('event_outbox').select('seq').limit(1).execute()
    const planned = await db.kysely
      .selectFrom('events')
      .select('id')
      .where('enrollment_id', '=', id)
      .where('type', '=', 'delivery.planned')
      .limit(1)
      .execute()
    return waiting.length === 0 && planned.length > 0
  }

  const activity = () =>
    apns.connections().total + apns.pushes.length + apns.held() + (options.activity?.() ?? 0)

  function device(wanted: Partial<DeviceOptions> = {}): Device {
    const random = createRandom(`test-${devices++}`)
    const made = createDevice({
      ...{ facts: inventDevice(random), http, random, keys, clock },
      onToken: (token) => void byToken.set(token, made),
      ...wanted,
    })
    return made
  }

  if (!options.apns) {
    const push = await fake.pushCertificate(TOPIC)
    await api('PUT', '/push-certificates', push.certificate + push.key)
  }
  return {
    app,
    url,
    clock,
    apns,
    api,
    link,
    device,
    logText: () => lines.join(''),
    logReasons: () =>
      new Set(lines.flatMap((line) => (JSON.parse(line) as { reason?: string }).reason ?? [])),
    async enrolled(wanted) {
      const made = device(wanted)
      const outcome = await made.enroll({ url: await link() })
      if (!outcome.enrolled) throw new Error(`${outcome.step}: ${outcome.reason}`)
      return made
    },
    async introduced(of) {
      const { udid } = of.facts
      // A supervised device is asked for the code that bypasses its Activation Lock as well.
      const asked = ['DeviceInformation', ...(of.facts.supervised ? ['ActivationLockBypassCode'] : [])]
      const isIntroduced = () =>
        asked.every((type) => of.results().some(({ requestType }) => requestType === type))
      let quiet = 0
      let after = 0
      for (let round = 0; quiet < QUIET_ROUNDS && after < MOST_AFTER; round++) {
        if (round === MOST_ROUNDS) throw new Error(`the device was not asked what it is: ${udid}`)
        const before = of.results().length
        await pass(100)
        await of.poll()
        if (!isIntroduced()) continue
        after += 1
        const isQuiet = of.results().length === before && (await isFollowed(udid))
        quiet = isQuiet ? quiet + 1 : 0
      }
      await pass(0)
    },
    settle,
    pass,
    async close() {
      await expectKnownData(db)
      await app.close()
      http.close()
      if (!options.apns) await apns.close()
    },
  }
}

/** PUTs any bytes as a device would, signed by `signer` over `signed` (the body itself by default). */
export async function putMessage(
  url: string,
  body: Uint8Array | PlistDict,
  options: {
    signer?: Identity | undefined
    signed?: Uint8Array
    type?: string
    headers?: Record<string, string>
  } = {},
): Promise<{ status: number; type: string | null; body: Buffer }> {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(writePlist(body))
  const { signer, signed = bytes, type = 'application/x-apple-aspen-mdm' } = options
  const signature = signer && (await signData({ content: signed, detached: true, signer })).toString('base64')
  const response = await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': type, ...(signature && { 'mdm-signature': signature }), ...options.headers },
    body: Buffer.from(bytes),
  })
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: Buffer.from(await response.arrayBuffer()),
  }
}

export const CHECK_IN = 'application/x-apple-aspen-mdm-checkin'
