import { request } from 'node:http'
import { writePlist } from '../src/protocol/plist/index.ts'
import { signBody } from '../src/simulator/index.ts'
import { load } from './load.ts'
import { idleRequest, type Speaker } from './population.ts'
import type { Fact } from './report.ts'
import type { ServerProcess } from './server-process.ts'

const MEGABYTE = 1024 * 1024
const POLLERS = 8

/** PUTs a body and waits for whatever comes of it, a closed connection included. */
function post(server: ServerProcess, headers: Record<string, string>, body: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const sent = request(
      { host: '127.0.0.1', port: server.port, path: '/mdm/connect', method: 'PUT', headers },
      (answer) => answer.resume(),
    )
    // The answer may come, and the connection end, before all was sent: each of these is an end.
    sent.on('error', () => undefined)
    sent.on('close', () => resolve())
    sent.end(body)
  })
}

/** Bodies that are large or made to be slow to read. */
async function heavyBodies(speaker: Speaker): Promise<{ headers: Record<string, string>; body: Buffer }[]> {
  const type = { 'content-type': 'application/x-apple-aspen-mdm' }
  const apps = Array.from({ length: 12_000 }, (_, n) => ({
    Identifier: `com.example.application.number.${n}`,
    Name: `Application ${n} ${'with a rather long name '.repeat(24)}`,
    Version: '1.0',
  }))
  const list = Buffer.from(
    writePlist({
      Status: 'Acknowledged',
      UDID: speaker.id,
      CommandUUID: 'none',
      InstalledApplicationList: apps,
    }),
  )
  return [
    { headers: type, body: Buffer.alloc(20 * MEGABYTE, 'A') },
    { headers: type, body: Buffer.alloc(15 * MEGABYTE, '<dict><key>a</key>') },
    {
      headers: type,
      body: Buffer.from(`<plist version="1.0"><string>${'&amp;'.repeat(3 * MEGABYTE)}</string></plist>`),
    },
    { headers: { ...type, 'mdm-signature': await signBody(list, speaker.identity, false) }, body: list },
  ]
}

/** The longest that other polls wait while heavy bodies come in one after the other. */
export async function heavyBodyDelay(
  engine: string,
  server: ServerProcess,
  speakers: readonly Speaker[],
): Promise<Fact> {
  const [attacker, ...others] = speakers
  if (!attacker) throw new Error('no device')
  const requests = await Promise.all(others.slice(0, POLLERS).map(idleRequest))
  const bodies = await heavyBodies(attacker)
  let stop = false
  const attack = (async () => {
    while (!stop) for (const { headers, body } of bodies) await post(server, headers, body)
  })()
  const { max, p99 } = await load({
    port: server.port,
    connections: POLLERS,
    seconds: 6,
    next: (index) => requests[index],
  })
  stop = true
  await attack
  return {
    engine,
    name: 'longest wait of a poll beside 10 to 20 MB bodies',
    value: max,
    unit: 'ms',
    note: `p99 ${p99.toFixed(1)} ms`,
  }
}

/** How the time of a poll changes with the size of the history. */
export async function historyFlatness(
  engine: string,
  server: ServerProcess,
  speakers: readonly Speaker[],
  addHistory: (rows: number) => Promise<void>,
): Promise<Fact> {
  const rows = engine === 'postgres' ? 1_000_000 : 200_000
  const requests = await Promise.all(speakers.slice(0, POLLERS).map(idleRequest))
  const run = () =>
    load({ port: server.port, connections: POLLERS, seconds: 3, next: (index) => requests[index] })
  const before = await run()
  await addHistory(rows)
  const after = await run()
  return {
    engine,
    name: `poll p50 with ${rows.toLocaleString('en')} results in the history against without`,
    value: after.p50 / before.p50,
    unit: 'x',
    note: `${before.p50.toFixed(2)} and ${after.p50.toFixed(2)} ms`,
  }
}
