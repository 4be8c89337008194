import { request } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import { signData } from '../../src/protocol/cms/index.ts'
import { writePlist } from '../../src/protocol/plist/index.ts'
import { openConnection, paced, put, summary, type LoadResult } from '../load.ts'
import { COMMAND, idleRequest, type Speaker } from '../population.ts'

const POLLS_PER_SECOND = 20
/** More than polls that are under way at once, or one that waits would count for those after it too. */
const CONNECTIONS = 16
const LARGE_BYTES = 300 * 1024

/** What honest people notice: milliseconds, and answers other than those that they should get. */
export type Noticed = Pick<LoadResult, 'requests' | 'p50' | 'p99' | 'max' | 'failures'>

/** A device that polls for so many seconds. */
export async function honestPolls(port: number, device: Speaker, seconds: number): Promise<Noticed> {
  const poll = await idleRequest(device)
  return paced({ port, connections: CONNECTIONS, perSecond: POLLS_PER_SECOND, seconds, next: () => poll })
}

/** One that makes a new TLS connection for each poll. */
export async function honestTlsPolls(port: number, device: Speaker, seconds: number): Promise<Noticed> {
  const bytes = await idleRequest(device)
  const [head = '', body = ''] = bytes.toString('latin1').split('\r\n\r\n')
  const headers = Object.fromEntries(
    head
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
  )
  const poll = () =>
    new Promise<number>((resolve) => {
      const options = { host: '127.0.0.1', port, path: '/mdm/connect', method: 'PUT', headers, agent: false }
      const sent = request({ ...options, rejectUnauthorized: false }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
      })
      sent.on('error', () => resolve(0))
      sent.end(Buffer.from(body, 'latin1'))
    })
  return everySoOften(seconds, 40, async () => (await poll()) === 200)
}

/** A device with long lists of apps, one a second. */
export async function honestLargeMessages(port: number, device: Speaker, seconds: number): Promise<Noticed> {
  const app = { Identifier: 'com.example.application', Name: 'x'.repeat(900), Version: '1.0' }
  const body = Buffer.from(
    writePlist({
      Status: 'Acknowledged',
      UDID: device.id,
      CommandUUID: 'none',
      InstalledApplicationList: Array.from({ length: LARGE_BYTES / 1024 }, () => app),
    }),
  )
  const signature = await signData({ content: body, detached: true, signer: device.identity })
  const message = put('/mdm/connect', COMMAND, signature.toString('base64'), body)
  const connection = openConnection(port)
  const noticed = await everySoOften(
    seconds,
    1_000,
    async () => (await connection.send(message)).status === 200,
  )
  connection.close()
  return noticed
}

/** A person who opens the page and signs in, one a second. */
export function honestSignIns(
  port: number,
  person: { userName: string; password: string },
  seconds: number,
): Promise<Noticed> {
  const url = `http://127.0.0.1:${port}/enroll`
  return everySoOften(seconds, 1_000, async () => {
    const page = await fetch(url)
    const token = /name="csrf_token" value="([^"]+)"/.exec(await page.text())?.[1] ?? ''
    const cookie = (page.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
    const fields = { csrf_token: token, user_name: person.userName, password: person.password }
    const body = new URLSearchParams(fields)
    const done = await fetch(url, { method: 'POST', headers: { cookie }, body, redirect: 'manual' })
    await done.arrayBuffer()
    return done.headers.get('location') === '/enroll/ready'
  })
}

/** Does something again and again, with at least `everyMs` from one beginning to the next. */
async function everySoOften(
  seconds: number,
  everyMs: number,
  work: () => Promise<boolean>,
): Promise<Noticed> {
  const latencies: number[] = []
  let failures = 0
  const until = performance.now() + seconds * 1_000
  while (performance.now() < until) {
    const started = performance.now()
    const isRight = await work().catch(() => false)
    latencies.push(performance.now() - started)
    if (!isRight) failures++
    await pause(Math.max(0, everyMs - (performance.now() - started)))
  }
  return { ...summary(latencies), failures }
}
