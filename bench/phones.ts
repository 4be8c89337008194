import type { KeyObject } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { parseCertificate } from '../src/protocol/x509/index.ts'
import {
  createDeviceHttp,
  createKeyPool,
  createPhone,
  createRandom,
  inventDevice,
} from '../src/simulator/index.ts'
import { summary } from './load.ts'

/** What the thread is to do: power on these phones, evenly spread over `seconds`. Certificates are DER. */
export interface PhonesWork {
  url: string
  seconds: number
  chain: Uint8Array[]
  phones: { serial: string; certificate: Uint8Array }[]
  /** Of all their identities from the factory. */
  key: KeyObject
  /** For the certificates that they ask for. */
  keys: KeyObject[]
}

/** What came of it. Times in milliseconds, from power-on to the first poll. */
export interface PhonesReport {
  enrolled: number
  problems: string[]
  p50: number
  max: number
}

const { url, seconds, chain, phones, key, keys } = workerData as PhonesWork
const certificates = chain.map((der) => parseCertificate(Buffer.from(der)))
const http = createDeviceHttp()
const pool = createKeyPool(keys.length, keys)
const latencies: number[] = []
const problems: string[] = []

async function powerOn({ serial, certificate }: PhonesWork['phones'][number]): Promise<void> {
  const random = createRandom(serial)
  const content = { url, is_supervised: true }
  const phone = createPhone({
    http,
    random,
    keys: pool,
    chain: certificates,
    facts: inventDevice(random, { serialNumber: serial }),
    identity: { key, certificate: parseCertificate(Buffer.from(certificate)) },
    activate: () => ({ uuid: 'bench', organization: 'Bench', content }),
  })
  const started = performance.now()
  const result = await phone.powerOn()
  if (result.outcome !== 'enrolled') {
    problems.push(`${serial}: ${result.outcome} ${result.reason ?? result.screen}`)
    return
  }
  await phone.poll()
  latencies.push(performance.now() - started)
}

await Promise.all(
  phones.map(async (phone, n) => {
    await pause((n / phones.length) * seconds * 1000)
    await powerOn(phone)
  }),
)
http.close()
const { p50, max } = summary(latencies)
const report: PhonesReport = { enrolled: latencies.length, problems: problems.slice(0, 5), p50, max }
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, this is a thread
parentPort?.postMessage(report)
