import { Worker } from 'node:worker_threads'
import { spkiOf, parseCertificate, type Identity } from '../src/protocol/x509/index.ts'
import type { Apple } from './apple.ts'
import { paced, type LoadResult } from './load.ts'
import type { PhonesReport, PhonesWork } from './phones.ts'
import { idleRequest, keyPool, type Speaker } from './population.ts'
import type { Fact } from './report.ts'
import type { ServerProcess } from './server-process.ts'
import type { PowerOn } from './setup-assistant.ts'

const CROWD = 10_000
const CROWD_KEYS = 4
const CONNECTIONS = 64
const QUIET_SECONDS = 10
/** As in 500 phones in a minute. */
const PHONES_PER_SECOND = 500 / 60

/** How long phones are powered on, and how often the others poll. */
export interface FirstDay {
  seconds: number
  pollsPerSecond: number
}

/** Phones come out of their boxes while ten thousand others poll: do all enrol, and do the others notice? */
export async function firstDay(
  engine: string,
  server: ServerProcess,
  { ca }: Apple,
  { url, phones }: PowerOn,
  crowd: readonly Speaker[],
  { seconds, pollsPerSecond: perSecond }: FirstDay,
): Promise<Fact[]> {
  const requests: Buffer[] = []
  for (let at = 0; at < crowd.length; at += 500)
    requests.push(...(await Promise.all(crowd.slice(at, at + 500).map(idleRequest))))
  let turn = 0
  const polls = (length: number): Promise<LoadResult> =>
    paced({
      port: server.port,
      connections: CONNECTIONS,
      perSecond,
      seconds: length,
      next: () => requests[turn++ % requests.length] ?? Buffer.alloc(0),
    })
  await polls(2)
  const quiet = await polls(QUIET_SECONDS)
  const serials = phones.slice(0, Math.round(PHONES_PER_SECOND * seconds))
  const phoneWork = await startPhones({ ca, url, serials, seconds })
  const [busy, report] = await Promise.all([polls(seconds), phoneWork.done])
  const failures = quiet.failures + busy.failures
  if (failures > 0) throw new Error(`${failures} polls of the crowd failed`)
  if (report.enrolled !== serials.length)
    throw new Error(`${report.enrolled} of ${serials.length} phones enrolled: ${report.problems.join('; ')}`)
  return [
    {
      engine,
      name: 'poll p99 while phones enrol against quiet',
      value: busy.p99 / quiet.p99,
      unit: 'x',
      note: `${quiet.p99.toFixed(1)} and ${busy.p99.toFixed(1)} ms; p50 ${quiet.p50.toFixed(1)} and ${busy.p50.toFixed(1)} ms; ${perSecond} polls/s of ${crowd.length} devices`,
    },
    {
      engine,
      name: 'phones enrolled from power-on to first poll',
      value: report.enrolled,
      unit: '',
      note: `of ${serials.length} within ${seconds} s; each took ${report.p50.toFixed(0)} ms (p50), ${report.max.toFixed(0)} ms at most`,
    },
  ]
}

/** Enrols the ten thousand others, by SQL: they are to be there, not to be measured. */
export async function enrolCrowd(server: ServerProcess, topic: string): Promise<Speaker[]> {
  const keys = await Promise.all(Array.from({ length: CROWD_KEYS }, () => keyPool.next()))
  const members = Array.from({ length: CROWD }, (_, n) => ({
    id: `00008120-0000${String(n).padStart(12, '0')}`,
    keyIndex: n % CROWD_KEYS,
  }))
  const spkis = keys.map((key) => spkiOf(key).toString('base64'))
  const certificates = await server.crowd(members, spkis, topic)
  return members.map(({ id, keyIndex }, n) => {
    const certificate = parseCertificate(Buffer.from(certificates[n] ?? '', 'base64'))
    return { id, topic, identity: { certificate, key: keys[keyIndex] } as Identity }
  })
}

/** Phones run in a thread of their own, so that their own work does not delay the polls. */
async function startPhones(options: {
  ca: Apple['ca']
  url: string
  serials: readonly string[]
  seconds: number
}): Promise<{ done: Promise<PhonesReport> }> {
  const { ca, url, serials, seconds } = options
  const key = await keyPool.next()
  const phones = await Promise.all(
    serials.map(async (serial) => {
      const { certificate } = await ca.deviceIdentity(serial, { key })
      return { serial, certificate: certificate.der }
    }),
  )
  const keys = await Promise.all(Array.from({ length: CROWD_KEYS }, () => keyPool.next()))
  const chain = ca.chain.map(({ der }) => der)
  const work: PhonesWork = { url, seconds, chain, phones, key, keys }
  const worker = new Worker(new URL('./phones.ts', import.meta.url), { workerData: work })
  return {
    done: new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    }),
  }
}
