import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  createApnsCertificates,
  createDevice,
  createDeviceHttp,
  createRandom,
  freePort,
  inventDevice,
  startFakeApns,
  type FakeApns,
} from '../src/simulator/index.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { startApple } from './apple.ts'
import { api, keyPool, prepare } from './population.ts'
import { startServer, type ServerProcess } from './server-process.ts'

const DEVICES = 100_000
const CHANGED = 10_000
const THINGS = 10
const CRITICAL = 2
const PHONES = 48
const AT_ONCE = 8
const LOOK_MS = 500
/** A phone that hears no push comes by itself after so long. */
const ALONE_MS = 2_000
const MOST_SECONDS = 180

/** What was measured, and what is aimed at. */
interface Figure {
  name: string
  value: string
  aim: string
}

/** What groups deliver, on PostgreSQL: a change for very many devices, facts that change at once, and phones that enrol. */
export async function benchDelivery(folder: string): Promise<void> {
  const postgres = await startPostgres({ durable: true })
  const apple = await startApple(folder)
  const certificates = await createApnsCertificates(new Date())
  const apns = await startFakeApns({ certificates })
  const apnsCaFile = path.join(folder, 'apns-ca.pem')
  writeFileSync(apnsCaFile, certificates.ca)
  const server = await startServer('firstboot', {
    ...apple.settings,
    FIRSTBOOT_APNS_URL: apns.url,
    FIRSTBOOT_APNS_CA_FILE: apnsCaFile,
    FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
    FIRSTBOOT_ADMIN_TOKEN: 'bench-bench-bench-bench-bench-bench-bench',
    FIRSTBOOT_PORT: String(await freePort()),
    FIRSTBOOT_DATA_DIR: path.join(folder, 'data'),
    FIRSTBOOT_DATABASE_URL: postgres.url,
  })
  try {
    const { linkPath } = await prepare(server, certificates)
    const figures = [...(await phones(server, { linkPath, apns })), ...(await crowd(server))]
    for (const { name, value, aim } of figures)
      console.log(`${name.padEnd(74)} ${value.padStart(16)}   ${aim}`)
  } finally {
    await server.stop()
    await apple.cloud.close()
    await apns.close()
    await postgres.stop()
  }
}

/** Waits until something is so; the seconds that it took. */
async function until(isSo: () => Promise<boolean>): Promise<number> {
  const begin = performance.now()
  while (!(await isSo())) {
    if (performance.now() - begin > MOST_SECONDS * 1_000) throw new Error(`not so within ${MOST_SECONDS} s`)
    await pause(LOOK_MS)
  }
  return (performance.now() - begin) / 1_000
}

async function upload(server: ServerProcess, name: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.port}/api/v1/profiles`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.token ?? ''}`,
      'content-type': 'application/x-apple-aspen-config',
    },
    body: profileXml(name),
  })
  const body = (await response.json()) as { id: string }
  if (response.status !== 201) throw new Error(`the profile was refused: ${JSON.stringify(body)}`)
  return body.id
}

function profileXml(name: string): string {
  const common = (id: string, type: string) =>
    `<key>PayloadIdentifier</key><string>${id}</string><key>PayloadType</key><string>${type}</string>
    <key>PayloadUUID</key><string>${crypto.randomUUID()}</string><key>PayloadVersion</key><integer>1</integer>`
  return `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>
    ${common(`net.example.bench.${name}`, 'Configuration')}
    <key>PayloadDisplayName</key><string>${name}</string>
    <key>PayloadContent</key><array><dict>${common(`net.example.bench.${name}.wifi`, 'com.apple.wifi.managed')}
    <key>SSID_STR</key><string>${name}</string><key>EncryptionType</key><string>None</string></dict></array>
    </dict></plist>`
}

const group = (server: ServerProcess, body: object) => api<{ id: string }>(server, 'POST', '/groups', body)

/** Phones that enrol by a link and wait in Setup Assistant to be let out: with and without things that their group delivers. */
async function phones(
  server: ServerProcess,
  { linkPath, apns }: { linkPath: string; apns: FakeApns },
): Promise<Figure[]> {
  const http = createDeviceHttp()
  const wakes = new Map<string, () => void>()
  apns.onPush((token) => wakes.get(token)?.())
  const { id: group_id } = await group(server, { name: 'phones', kind: 'static' })
  const { url } = await api<{ url: string }>(server, 'POST', '/enrollment-links', { uses: 100_000, group_id })
  const items = []
  for (let at = 0; at < THINGS; at++)
    items.push({ kind: 'profile', id: await upload(server, `thing${at}`), critical: at < CRITICAL })
  await api(server, 'PUT', `/groups/${group_id}/contents`, { items })
  let made = 0
  const enrol = async (address: string, { things, isHeld }: Kind) => {
    const random = createRandom(`bench-delivery-${made++}`)
    const sleep = createSleep()
    const device = createDevice({
      facts: inventDevice(random),
      http,
      random,
      keys: keyPool,
      awaitConfiguration: isHeld,
      onToken: (token) => void wakes.set(token, sleep.wake),
    })
    const outcome = await device.enroll({ url: `http://127.0.0.1:${server.port}${address}` })
    if (!outcome.enrolled) throw new Error(`${outcome.step}: ${outcome.reason}`)
    // Its own profile, those of its group, and an answer to each question.
    const isDone = () =>
      !device.awaiting() &&
      device.view().profiles.length > things &&
      device.results().filter(({ requestType }) => requestType === 'Restrictions').length > 0
    for (let round = 0; !isDone(); round++) {
      if (round > 600) throw new Error('a phone has not got all of its things')
      await device.poll()
      if (!isDone()) await sleep.untilWoken(ALONE_MS)
    }
  }
  const cost = async (address: string, kind: Kind) => {
    const before = await server.usage()
    for (let at = 0; at < PHONES; at += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, () => enrol(address, kind)))
    const after = await server.usage()
    return ((after.cpu - before.cpu) / PHONES) * 1_000
  }
  const costs = async () => [
    await cost(linkPath, { things: 0, isHeld: false }),
    await cost(linkPath, { things: 0, isHeld: true }),
    await cost(new URL(url).pathname, { things: THINGS, isHeld: true }),
  ]
  await costs()
  const [plain = 0, held = 0, full = 0] = await costs()
  http.close()
  const value = (against: number) => `${(full / against).toFixed(2)}x, ${full.toFixed(0)} ms`
  return [
    {
      name: `CPU of an enrolment with ${THINGS} things (${CRITICAL} critical) against a plain one`,
      value: value(plain),
      aim: 'at most 3x',
    },
    { name: 'against one that is held in Setup Assistant, too, without things', value: value(held), aim: '' },
  ]
}

/** What a phone is to get, and whether it waits in Setup Assistant to be let out. */
interface Kind {
  things: number
  isHeld: boolean
}

/** A phone sleeps until it is pushed; a push that came while it was awake counts. */
function createSleep() {
  let isWoken = false
  let end = () => {}
  return {
    wake() {
      isWoken = true
      end()
    },
    async untilWoken(mostMs: number): Promise<void> {
      const over = new AbortController()
      end = () => over.abort()
      if (!isWoken) await pause(mostMs, undefined, { signal: over.signal }).catch(() => undefined)
      isWoken = false
    },
  }
}

/** A hundred thousand devices: a change of contents for all of them, and ten thousand that tell something new at once. */
async function crowd(server: ServerProcess): Promise<Figure[]> {
  const { id } = await group(server, { name: 'crowd', kind: 'static' })
  const newer = await group(server, {
    name: 'newer',
    rule: { fact: 'os_version', op: 'ge', value: '26.1' },
  })
  await server.sql(`
    insert into enrollments (id, type, udid, serial_number, topic, token_update_tally, generation, supervised,
      os_version, product_name, authenticated_at, enrolled_at, created_at, updated_at)
    select 'crowd-' || i, 'device', 'crowd-' || i, 'CROWD' || i, 'com.apple.mgmt.bench', 1, 1, true,
      '26.0', 'iPhone17,1', now(), now(), now(), now() from generate_series(1, ${DEVICES}) i`)
  await server.sql(
    `insert into devices_to_group (enrollment_id) select 'crowd-' || i from generate_series(1, ${DEVICES}) i`,
  )
  await server.sql(`
    insert into group_members (group_id, enrollment_id, added_at)
    select '${id}', 'crowd-' || i, now() from generate_series(1, ${DEVICES}) i`)
  const facts = async () => (await server.rows())['devices_to_group'] === 0
  await until(facts)
  await server.sql(`
    insert into delivery_devices (enrollment_id, generation)
    select 'crowd-' || i, 1 from generate_series(1, ${DEVICES}) i`)
  await server.sql('analyze')
  const regrouped = await regroup(server, newer.id)
  const items = [{ kind: 'profile', id: await upload(server, 'for-all') }]
  const before = await server.usage()
  const begin = performance.now()
  const { change_id } = await api<{ change_id: string }>(server, 'PUT', `/groups/${id}/contents`, { items })
  const planned = (performance.now() - begin) / 1_000
  const enqueued = await until(
    async () => (await api<{ enqueued: number }>(server, 'GET', `/changes/${change_id}`)).enqueued >= DEVICES,
  )
  const after = await server.usage()
  const all = planned + enqueued
  return [
    {
      name: `${CHANGED} devices change a fact at once: in their groups after`,
      value: `${regrouped.toFixed(1)} s`,
      aim: 'under 5 s',
    },
    {
      name: `contents for ${DEVICES} devices: known for whom after`,
      value: `${planned.toFixed(1)} s`,
      aim: '',
    },
    { name: 'planned and enqueued after', value: `${all.toFixed(1)} s`, aim: 'under 10 s' },
    { name: 'deliveries enqueued', value: `${Math.round(DEVICES / all)}/s`, aim: '10000/s' },
    { name: 'memory grown by', value: `${Math.round(after.maxRss - before.maxRss)} MB`, aim: 'under 50 MB' },
  ]
}

async function regroup(server: ServerProcess, groupId: string): Promise<number> {
  await server.sql(`
    with told as (
      update enrollments set os_version = '26.1' where id in (
        select 'crowd-' || i from generate_series(1, ${CHANGED}) i) returning id
    ) insert into devices_to_group (enrollment_id) select id from told`)
  return until(
    async () =>
      (await api<{ member_count: number }>(server, 'GET', `/groups/${groupId}`)).member_count >= CHANGED,
  )
}
