import { cpSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { administer, startPostgres } from '../test/support/postgres.ts'
import { startApple, type Apple } from './apple.ts'
import { heavyBodyDelay, historyFlatness } from './extras.ts'
import { enrolCrowd, firstDay, type FirstDay } from './first-day.ts'
import { freePort } from '../src/simulator/index.ts'
import { measure } from './measure.ts'
import { enrol, prepare, type Speaker } from './population.ts'
import type { Fact, Row } from './report.ts'
import {
  commandCycle,
  enrolments,
  idlePolls,
  SECONDS,
  setupAssistantPosts,
  tokenUpdates,
  type Scenario,
} from './scenarios.ts'
import { startServer, type ServerProcess } from './server-process.ts'
import { preparePowerOn, type PowerOn } from './setup-assistant.ts'
import { syncAndAssign } from './sync.ts'

const DEVICES = 64
const REST_MS = 12_000
const WARM_UP_CONNECTIONS = 64
const SERVERS = ['plain', 'firstboot'] as const
export const CONNECTIONS = [1, 8, 64] as const
const SECRETS = {
  FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
  FIRSTBOOT_ADMIN_TOKEN: 'bench-bench-bench-bench-bench-bench-bench',
  FIRSTBOOT_PORT: String(await freePort()),
}
const FIRST_DAY: Record<Engine, FirstDay> = {
  postgres: { seconds: 30, pollsPerSecond: 300 },
  embedded: { seconds: 15, pollsPerSecond: 200 },
}

type Engine = 'postgres' | 'embedded'
type Settings = Record<string, string>

/** What was found on one database. */
export interface Found {
  rows: Row[]
  facts: Fact[]
}

/** What a seeded server gave. */
interface Seed {
  linkPath: string
  speakers: Speaker[]
  /** Ten thousand that are enrolled as well. */
  crowd: Speaker[]
  powerOn: PowerOn
}

/**
 * Measures the baseline and Firstboot on one database, then what only Firstboot has (`extras`). `only`: one scenario by its
 * name, or the extras.
 */
export async function benchEngine(
  engine: Engine,
  parent: string,
  found: Found,
  only?: string,
): Promise<void> {
  const folder = path.join(parent, engine)
  mkdirSync(folder)
  const postgres = engine === 'postgres' ? await startPostgres({ durable: true }) : undefined
  const apple = await startApple(folder)
  const settings = (name: string): Settings => {
    const own = { ...SECRETS, ...apple.settings, FIRSTBOOT_DATA_DIR: path.join(folder, name) }
    if (!postgres) return own
    const url = new URL(postgres.url)
    url.pathname = `/${name}`
    return { ...own, FIRSTBOOT_DATABASE_URL: url.toString() }
  }
  try {
    if (postgres) await administer(postgres.url, 'create database seeded')
    const seed = await seedServer(engine, settings('seeded'), apple, found.facts)
    if (postgres) await administer(postgres.url, 'create database plain template seeded')
    else cpSync(path.join(folder, 'seeded'), path.join(folder, 'plain'), { recursive: true })
    const plain = await startServer('plain', {
      ...settings('plain'),
      FIRSTBOOT_PORT: String(await freePort()),
    })
    const firstboot = await startServer('firstboot', settings('seeded'))
    // So that neither pays for writes that the other has left behind.
    const settle = async () => {
      if (postgres) await administer(postgres.url, 'checkpoint')
    }
    found.rows.push(...(await runScenarios(engine, { plain, firstboot }, seed, settle, only)))
    await plain.stop()
    if (only === undefined || only === 'extras')
      found.facts.push(...(await runExtras(engine, firstboot, apple, seed)))
    await firstboot.stop()
  } finally {
    await apple.cloud.close()
    await postgres?.stop()
  }
}

async function seedServer(engine: Engine, settings: Settings, apple: Apple, facts: Fact[]): Promise<Seed> {
  tell(engine, 'a first start, and devices to begin with')
  const before = performance.now()
  const server = await startServer('firstboot', settings)
  facts.push({
    engine,
    name: 'first start until it serves',
    value: (performance.now() - before) / 1000,
    unit: 's',
    note: 'keys and schema included',
  })
  const { linkPath, topic } = await prepare(server)
  const speakers = await enrol(server, linkPath, DEVICES)
  const powerOn = await preparePowerOn(server, apple)
  const crowd = await enrolCrowd(server, topic)
  await server.stop()
  return { linkPath, speakers, crowd, powerOn }
}

/** Both servers by turns, as the speed of a machine changes by the minute, and the ratio is not to. */
async function runScenarios(
  engine: Engine,
  servers: Record<'plain' | 'firstboot', ServerProcess>,
  { linkPath, speakers, powerOn }: Seed,
  settle: () => Promise<void>,
  only: string | undefined,
): Promise<Row[]> {
  // With the seconds until the compilers have settled: the more work a request is, the fewer of them there are in a second.
  const scenarios: [string, Scenario, number][] = [
    ['Idle poll', idlePolls, 2],
    ['command cycle', commandCycle, 3],
    ['TokenUpdate', tokenUpdates, 3],
    ['whole enrolment', enrolments(linkPath), 3],
    ['Setup Assistant', setupAssistantPosts(powerOn.posts), 9],
  ]
  const rows: Row[] = []
  for (const [scenario, run, warmUp] of scenarios.filter(([name]) => only === undefined || name === only)) {
    tell(engine, scenario)
    for (const server of SERVERS) await run(servers[server], speakers, WARM_UP_CONNECTIONS, warmUp)
    for (const connections of CONNECTIONS)
      for (const server of SERVERS) {
        await settle()
        const work = () => run(servers[server], speakers, connections, SECONDS[connections])
        const figures = await measure(`${server} ${scenario}`, servers[server], work, server === 'plain')
        rows.push({ engine, scenario, server, connections, ...figures })
      }
  }
  return rows
}

/** Says on the standard error what is being measured, as all of it takes minutes. */
function tell(engine: Engine, what: string): void {
  console.error(`${engine}: ${what}`)
}

async function runExtras(
  engine: Engine,
  server: ServerProcess,
  apple: Apple,
  { speakers, powerOn, crowd }: Seed,
): Promise<Fact[]> {
  const ids = speakers.map(({ id }) => id)
  const facts: Fact[] = []
  tell(engine, 'serial numbers from Apple')
  facts.push(...(await syncAndAssign(engine, server, apple)))
  tell(engine, 'phones that enrol beside others that poll')
  facts.push(...(await firstDay(engine, server, apple, powerOn, crowd, FIRST_DAY[engine])))
  tell(engine, 'polls beside heavy bodies')
  facts.push(await heavyBodyDelay(engine, server, speakers))
  tell(engine, 'polls with a long history')
  facts.push(await historyFlatness(engine, server, speakers, (count) => server.sql(historySql(ids, count))))
  // V8 gives back what a thread held some 8 seconds after its end.
  await pause(REST_MS)
  const { rss, maxRss } = await server.usage()
  const note = `resident, ${REST_MS / 1000} s after the load; ${Math.round(maxRss)} MB at most`
  return [...facts, { engine, name: 'memory at the end', value: rss, unit: 'MB', note }]
}

/** Puts finished deliveries of the past into the history. */
const historySql = (ids: readonly string[], rows: number) => `
  insert into delivery_history
    (enrollment_id, command_uuid, state, not_now_count, created_at, sent_at, finished_at)
  select (array[${ids.map((id) => `'${id}'`).join(',')}])[1 + i % ${ids.length}], 'past-' || i, 'acknowledged', 0,
    now(), now(), now() from generate_series(1, ${rows}) i`
