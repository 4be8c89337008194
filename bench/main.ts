import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { administer, startPostgres } from '../test/support/postgres.ts'
import { heavyBodyDelay, historyFlatness } from './extras.ts'
import { freePort } from './free-port.ts'
import { load, summary, type LoadResult } from './load.ts'
import {
  acknowledge,
  enrol,
  idleRequest,
  newDevice,
  prepare,
  tokenUpdate,
  type Speaker,
} from './population.ts'
import { print, type Fact, type Row } from './report.ts'
import { startServer, type ServerProcess } from './server-process.ts'

/**
 * `npm run bench`: ratios of Firstboot against a plain server and against a handler that does nothing, all measured in
 * this run on this machine, on PostgreSQL with its default settings (fsync on) and on the embedded database.
 */
const SECONDS = 2
const DEVICES = 64
const COMMANDS = 120
const CONNECTIONS = [1, 8, 64] as const
const SECRETS = {
  FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
  FIRSTBOOT_ADMIN_TOKEN: 'bench-bench-bench-bench-bench-bench-bench',
  FIRSTBOOT_PORT: String(await freePort()),
}

type Scenario = (server: ServerProcess, speakers: Speaker[], connections: number) => Promise<LoadResult>

/** Every connection polls as a device of its own that has nothing to do. */
const idlePolls: Scenario = async (server, speakers, connections) => {
  const requests = await Promise.all(speakers.slice(0, connections).map(idleRequest))
  return load({ port: server.port, connections, seconds: SECONDS, next: (index) => requests[index] })
}

/** Every device works off a queue: each request is the answer to a command and brings the next one. */
const commandCycle: Scenario = async (server, speakers, connections) => {
  const active = speakers.slice(0, connections)
  const uuids = Array.from({ length: COMMANDS }, () => crypto.randomUUID())
  await server.queue(
    uuids,
    active.map(({ id }) => id),
  )
  const requests = await Promise.all(
    active.map(async (speaker) => [
      await idleRequest(speaker),
      ...(await Promise.all(uuids.map((uuid) => acknowledge(speaker, uuid)))),
    ]),
  )
  return load({ port: server.port, connections, seconds: 20, next: (index, turn) => requests[index]?.[turn] })
}

const tokenUpdates: Scenario = async (server, speakers, connections) => {
  const requests = await Promise.all(speakers.slice(0, connections).map(tokenUpdate))
  return load({ port: server.port, connections, seconds: SECONDS, next: (index) => requests[index] })
}

/** Whole enrolments: profile, SCEP, Authenticate, TokenUpdate, and the first poll. */
function enrolments(linkPath: string): Scenario {
  return async (server, _speakers, connections) => {
    const latencies: number[] = []
    let failures = 0
    const started = performance.now()
    const until = started + SECONDS * 2 * 1000
    await Promise.all(
      Array.from({ length: connections }, async () => {
        while (performance.now() < until) {
          const before = performance.now()
          const device = newDevice()
          const outcome = await device.enroll({ url: `http://127.0.0.1:${server.port}${linkPath}` })
          if (!outcome.enrolled) failures++
          latencies.push(performance.now() - before)
        }
      }),
    )
    return { ...summary(latencies), seconds: (performance.now() - started) / 1000, failures }
  }
}

/** Lets the compiler of the server settle before anything is counted. */
async function warmUp(server: ServerProcess, speakers: Speaker[]): Promise<void> {
  const requests = await Promise.all(speakers.slice(0, 16).map(idleRequest))
  await load({ port: server.port, connections: 16, seconds: 1.5, next: (index) => requests[index] })
}

async function measure(
  name: string,
  server: ServerProcess,
  run: () => Promise<LoadResult>,
): Promise<Omit<Row, 'scenario' | 'engine' | 'connections' | 'server'>> {
  const before = await server.usage()
  const result = await run()
  const after = await server.usage()
  if (result.failures > 0)
    throw new Error(`${name}: ${result.failures} of ${result.requests} requests failed`)
  return {
    perSecond: result.requests / result.seconds,
    p50: result.p50,
    p99: result.p99,
    cpuMs: ((after.cpu - before.cpu) / result.requests) * 1000,
    maxRss: after.maxRss,
  }
}

/** Puts finished deliveries of the past into the history. */
const historySql = (ids: readonly string[], rows: number) => `
  insert into delivery_history
    (enrollment_id, command_uuid, state, not_now_count, created_at, sent_at, finished_at)
  select (array[${ids.map((id) => `'${id}'`).join(',')}])[1 + i % ${ids.length}], 'past-' || i, 'acknowledged', 0,
    now(), now(), now() from generate_series(1, ${rows}) i`

async function benchEngine(
  engine: 'postgres' | 'embedded',
  folder: string,
  rows: Row[],
  facts: Fact[],
): Promise<void> {
  const postgres = engine === 'postgres' ? await startPostgres({ durable: true }) : undefined
  const settings = async (name: string) => {
    if (!postgres) return { ...SECRETS, FIRSTBOOT_DATA_DIR: path.join(folder, name) }
    const url = new URL(postgres.url)
    url.pathname = `/${name}`
    return { ...SECRETS, FIRSTBOOT_DATA_DIR: path.join(folder, name), FIRSTBOOT_DATABASE_URL: url.toString() }
  }
  try {
    if (postgres) await administer(postgres.url, 'create database seeded')
    const before = performance.now()
    const seeded = await startServer('firstboot', await settings('seeded'))
    const value = (performance.now() - before) / 1000
    facts.push({
      engine,
      name: 'first start until it serves',
      value,
      unit: 's',
      note: 'keys and schema included',
    })
    const linkPath = await prepare(seeded)
    const speakers = await enrol(seeded, linkPath, DEVICES)
    await seeded.stop()
    if (postgres) await administer(postgres.url, 'create database plain template seeded')
    else cpSync(path.join(folder, 'seeded'), path.join(folder, 'plain'), { recursive: true })
    const scenarios: [string, Scenario][] = [
      ['Idle poll', idlePolls],
      ['command cycle', commandCycle],
      ['TokenUpdate', tokenUpdates],
      ['whole enrolment', enrolments(linkPath)],
    ]
    for (const server of ['plain', 'firstboot'] as const) {
      const running = await startServer(server, await settings(server === 'plain' ? 'plain' : 'seeded'))
      await warmUp(running, speakers)
      for (const [scenario, run] of scenarios)
        for (const connections of CONNECTIONS) {
          const figures = await measure(`${server} ${scenario}`, running, () =>
            run(running, speakers, connections),
          )
          rows.push({ engine, scenario, server, connections, ...figures })
        }
      if (server === 'firstboot') {
        facts.push(await heavyBodyDelay(engine, running, speakers))
        const ids = speakers.map(({ id }) => id)
        facts.push(
          await historyFlatness(engine, running, speakers, (count) => running.sql(historySql(ids, count))),
        )
        const { rss } = await running.usage()
        facts.push({ engine, name: 'memory at the end', value: rss, unit: 'MB', note: 'resident' })
      }
      await running.stop()
    }
  } finally {
    await postgres?.stop()
  }
}

const folder = mkdtempSync(path.join(tmpdir(), 'firstboot-bench-'))
const rows: Row[] = []
const facts: Fact[] = []
try {
  const only = process.argv[2]
  for (const engine of ['postgres', 'embedded'] as const)
    if (only === undefined || only === engine)
      await benchEngine(engine, path.join(folder, engine), rows, facts)
  const empty = await startServer('empty')
  for (const connections of CONNECTIONS) {
    const request = Buffer.from('PUT /mdm/connect HTTP/1.1\r\nHost: bench\r\nContent-Length: 2\r\n\r\nhi')
    const run = () => load({ port: empty.port, connections, seconds: SECONDS, next: () => request })
    const figures = await measure('empty', empty, run)
    rows.push({ engine: 'none', scenario: 'nothing (ceiling)', server: 'empty', connections, ...figures })
  }
  await empty.stop()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
print(rows, facts)
const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version }
writeFileSync(
  path.join(import.meta.dirname, 'results.json'),
  `${JSON.stringify({ at: new Date().toISOString(), machine, rows, facts }, null, 2)}\n`,
)
