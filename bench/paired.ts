import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { freePort } from '../src/simulator/index.ts'
import { administer, startPostgres } from '../test/support/postgres.ts'
import { startApple } from './apple.ts'
import { measure } from './measure.ts'
import { enrol, prepare, type Speaker } from './population.ts'
import {
  commandCycle,
  enrolments,
  idlePolls,
  setupAssistantPosts,
  tokenUpdates,
  type Scenario,
} from './scenarios.ts'
import { startServer, type ServerProcess } from './server-process.ts'
import { preparePowerOn, type PowerOn } from './setup-assistant.ts'

const CONNECTIONS = 64
const SECONDS = 4
const SECRETS = {
  FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
  FIRSTBOOT_ADMIN_TOKEN: 'bench-bench-bench-bench-bench-bench-bench',
}

/** Which of two servers: that of this checkout, or that of the other one. */
type Name = 'this' | 'other'

/** A server with devices of its own. */
interface Side {
  server: ServerProcess
  speakers: Speaker[]
  scenario: Record<string, Scenario>
}

/** One run of each server, the one right after the other. */
type Round = Record<Name, { perSecond: number; p50: number; cpuMs: number }>

/**
 * The Firstboot of this checkout against that of another one, each with its own sources, packages, database and fake Apple,
 * driven by the same client: round after round, in each the one and the other, which of them first changing each time.
 */
export async function benchPaired(options: {
  /** Folder of the other checkout, its packages installed. */
  other: string
  engine: 'postgres' | 'embedded'
  rounds: number
  /** Only the scenario of this name. */
  only?: string | undefined
  folder: string
}): Promise<void> {
  const { other, engine, rounds, only, folder } = options
  const postgres = engine === 'postgres' ? await startPostgres({ durable: true }) : undefined
  const ends: (() => Promise<unknown>)[] = []

  async function start(name: Name): Promise<Side> {
    const own = path.join(folder, name)
    mkdirSync(own)
    const apple = await startApple(own)
    ends.push(() => apple.cloud.close())
    const settings: Record<string, string> = { ...SECRETS, ...apple.settings, FIRSTBOOT_DATA_DIR: own }
    settings['FIRSTBOOT_PORT'] = String(await freePort())
    if (postgres) {
      await administer(postgres.url, `create database ${name}_side`)
      settings['FIRSTBOOT_DATABASE_URL'] = Object.assign(new URL(postgres.url), {
        pathname: `/${name}_side`,
      }).toString()
    }
    const server = await startServer('firstboot', settings, name === 'other' ? { checkout: other } : {})
    ends.push(server.stop)
    const { linkPath } = await prepare(server)
    const speakers = await enrol(server, linkPath, CONNECTIONS)
    return { server, speakers, scenario: scenariosOf(linkPath, await preparePowerOn(server, apple)) }
  }

  try {
    const sides: Record<Name, Side> = { this: await start('this'), other: await start('other') }
    const run = async (name: Name, scenario: string, seconds: number) => {
      const { server, speakers, scenario: all } = sides[name]
      if (postgres) await administer(postgres.url, 'checkpoint')
      const work = () => all[scenario]!(server, speakers, CONNECTIONS, seconds)
      return measure(`${name} ${scenario}`, server, work)
    }
    console.log(`${engine}, ${CONNECTIONS} connections; "other" is ${other}`)
    console.log('ratios of requests a second, this to other: above 1.00 this one is faster\n')
    for (const [scenario, warmUp] of Object.entries(WARM_UP).filter(([name]) => (only ?? name) === name)) {
      for (const name of ['this', 'other'] as const) await run(name, scenario, warmUp)
      const done: Round[] = []
      for (let round = 0; round < rounds; round++) {
        const order: Name[] = round % 2 === 0 ? ['this', 'other'] : ['other', 'this']
        const found: Partial<Round> = {}
        for (const name of order) found[name] = await run(name, scenario, SECONDS)
        done.push(found as Round)
      }
      print(scenario, done)
    }
  } finally {
    for (const end of ends.toReversed()) await end()
    await postgres?.stop()
  }
}

/** Scenarios with the seconds until the compilers have settled. */
const WARM_UP: Readonly<Record<string, number>> = {
  'Idle poll': 3,
  'command cycle': 3,
  TokenUpdate: 3,
  'whole enrolment': 3,
  'Setup Assistant': 9,
}

function scenariosOf(linkPath: string, { posts }: PowerOn): Record<string, Scenario> {
  return {
    'Idle poll': idlePolls,
    'command cycle': commandCycle,
    TokenUpdate: tokenUpdates,
    'whole enrolment': enrolments(linkPath),
    'Setup Assistant': setupAssistantPosts(posts),
  }
}

function print(scenario: string, rounds: readonly Round[]): void {
  const ratios = rounds.map((round) => round.this.perSecond / round.other.perSecond)
  const cpu = rounds.map((round) => round.other.cpuMs / round.this.cpuMs)
  const of = (name: Name, field: keyof Round[Name]) => median(rounds.map((round) => round[name][field]))
  const pair = (field: keyof Round[Name], digits: number) =>
    `${of('this', field).toFixed(digits)} and ${of('other', field).toFixed(digits)}`
  console.log(
    [
      `${scenario.padEnd(16)} ${median(ratios).toFixed(3)} in the median (CPU time of the server ${median(cpu).toFixed(3)})`,
      `  rounds           ${ratios.map((ratio) => ratio.toFixed(3)).join('  ')}`,
      `  this and other   ${pair('perSecond', 0)} a second, p50 ${pair('p50', 2)} ms, CPU ${pair('cpuMs', 3)} ms`,
    ].join('\n'),
  )
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
