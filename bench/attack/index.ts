import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { freePort } from '../../src/simulator/index.ts'
import { administer, startPostgres } from '../../test/support/postgres.ts'
import { startApple } from '../apple.ts'
import { api, enrol, prepare, type Speaker } from '../population.ts'
import { startServer, type ServerProcess } from '../server-process.ts'
import { preparePowerOn } from '../setup-assistant.ts'
import type { AttackReport, AttackWork } from './attackers.ts'
import { honestLargeMessages, honestPolls, honestSignIns, honestTlsPolls, type Noticed } from './honest.ts'
import { attacks, type Attack, type Stage } from './loads.ts'

const PER_SECOND = 50
const QUIET_SECONDS = 5
const WARM_UP_SECONDS = 3
/** How long after the end of an attack an honest person may still wait for an answer before the server is given up. */
const PATIENCE_SECONDS = 30
const AIM_P99_MS = 100
const AIM_GROWTH_MB = 200
const SAMPLE_MS = 100
const PERSON = { userName: 'honest', password: 'a right password' }
const ROOT = path.join(import.meta.dirname, '../..')

/** Gives a new server something to attack, and devices: the attacker's own first, then the honest one. */
interface Seeded {
  stage: Stage
  honest: Speaker
}

/**
 * An honest device polls, while strangers do one kind of thing 50 times a second: how long it waits, and what the server's
 * memory and tables grow by. For each attack the server is started anew on the same database.
 */
export async function benchAttacks(options: {
  engine: 'postgres' | 'embedded'
  /** How long each attack takes. */
  seconds: number
  /** Only attacks whose name begins so. */
  only?: string | undefined
  folder: string
}): Promise<void> {
  const { engine, seconds, only = '', folder } = options
  const postgres = engine === 'postgres' ? await startPostgres({ durable: true }) : undefined
  const data = path.join(folder, 'data')
  mkdirSync(data)
  const apple = await startApple(folder)
  const settings: Record<string, string> = {
    ...apple.settings,
    FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
    FIRSTBOOT_ADMIN_TOKEN: 'bench-bench-bench-bench-bench-bench-bench',
    FIRSTBOOT_DATA_DIR: data,
    FIRSTBOOT_PORT: String(await freePort()),
  }
  if (postgres) {
    await administer(postgres.url, 'create database attacked')
    settings['FIRSTBOOT_DATABASE_URL'] = Object.assign(new URL(postgres.url), {
      pathname: '/attacked',
    }).toString()
  }
  try {
    const server = await startServer('firstboot', settings)
    const seeded = await seed(server, apple)
    await server.stop()
    console.log(
      `${engine}; ${PER_SECOND} a second for ${seconds} s each; an honest poll is to take less than ${AIM_P99_MS} ms (p99), memory to grow by less than ${AIM_GROWTH_MB} MB\n`,
    )
    for (const attack of await attacks(seeded.stage))
      if (attack.name.startsWith(only)) await run(attack, { seeded, seconds, settings, folder })
  } finally {
    await apple.cloud.close()
    await postgres?.stop()
  }
}

async function seed(server: ServerProcess, apple: Awaited<ReturnType<typeof startApple>>): Promise<Seeded> {
  const { linkPath } = await prepare(server)
  const [own, honest] = await enrol(server, linkPath, 2)
  const { url } = await preparePowerOn(server, apple)
  const userNames = Array.from({ length: 20 }, (_, n) => `person-${n}`)
  for (const user_name of userNames)
    await api(server, 'POST', '/users', { user_name, password: `password ${user_name}` })
  const { userName: user_name, password } = PERSON
  await api(server, 'POST', '/users', { user_name, password, device_limit: null })
  if (own === undefined || honest === undefined) throw new Error('no device')
  return { stage: { linkPath, adePath: new URL(url).pathname, own, userNames }, honest }
}

async function run(
  attack: Attack,
  {
    seeded,
    seconds,
    settings,
    folder,
  }: { seeded: Seeded; seconds: number; settings: Record<string, string>; folder: string },
): Promise<void> {
  const server = await startServer('firstboot', ...startOf(attack, settings, folder))
  const { port } = server
  let memory: ReturnType<typeof sampler> | undefined
  const polls = (length: number) => (attack.tls ? honestTlsPolls : honestPolls)(port, seeded.honest, length)
  const beside = (length: number) => besides(attack, port, seeded, length)
  try {
    await Promise.all([polls(WARM_UP_SECONDS), beside(WARM_UP_SECONDS)])
    const [quiet, quietBeside] = await Promise.all([polls(QUIET_SECONDS), beside(QUIET_SECONDS)])
    const rowsBefore = await server.rows()
    memory = sampler(server.pid)
    const cpuBefore = cpuSeconds(server.pid)
    const { addresses = 1, kind } = attack
    const [attacked, beside2, statuses] = await within(
      seconds + PATIENCE_SECONDS,
      Promise.all([
        polls(seconds),
        beside(seconds),
        attackers({ port, perSecond: PER_SECOND, seconds, addresses, kind }),
      ]),
    )
    const growth = memory.stop()
    const cpu = cpuSeconds(server.pid) - cpuBefore
    const rows = await within(PATIENCE_SECONDS, server.rows())
    print(attack.name, [
      ['poll', quiet, attacked],
      ...(attack.beside ? [[attack.beside, quietBeside!, beside2!] as const] : []),
    ])
    const grown = Object.entries(rows).flatMap(([name, count]) =>
      count > (rowsBefore[name] ?? 0) ? [`${name} +${count - (rowsBefore[name] ?? 0)}`] : [],
    )
    const tell = (what: string, text: string) => console.log(`  ${what.padEnd(16)} ${text}`)
    tell('CPU', `${cpu.toFixed(1)} s of the server in ${seconds} s`)
    tell('memory', `${growth.before} MB before, ${growth.most} MB at most`)
    tell(
      'answers',
      Object.entries(statuses)
        .map(([status, count]) => `${status}: ${count}`)
        .join(', '),
    )
    tell('rows', grown.length === 0 ? 'none' : grown.join(', '))
    const missed = [
      ...(attacked.p99 < AIM_P99_MS ? [] : [`p99 ${attacked.p99.toFixed(0)} ms`]),
      ...(attacked.failures === 0 ? [] : [`${attacked.failures} polls failed`]),
      ...(growth.most - growth.before < AIM_GROWTH_MB ? [] : [`${growth.most - growth.before} MB more`]),
    ]
    tell('aims', missed.length === 0 ? 'met' : `MISSED: ${missed.join(', ')}`)
    await within(PATIENCE_SECONDS, server.stop())
  } catch (error) {
    const { before, most } = memory?.stop() ?? { before: 0, most: 0 }
    console.log(`${attack.name}\n  MISSED: ${String(error)}; ${most - before} MB more by then`)
  } finally {
    await server.kill()
  }
}

function startOf(
  { tls }: Attack,
  settings: Record<string, string>,
  folder: string,
): [Record<string, string>, { execPath?: string }] {
  if (tls === undefined) return [settings, {}]
  const keep = (name: string) => {
    const file = path.join(folder, name)
    copyFileSync(path.join(ROOT, 'certs.example', name), file)
    chmodSync(file, 0o600)
    return file
  }
  const program = path.join(folder, 'few-files.sh')
  writeFileSync(program, `#!/bin/sh\nulimit -n ${tls.openFiles}\nexec '${process.execPath}' "$@"\n`, {
    mode: 0o700,
  })
  const files = { FIRSTBOOT_TLS_CERT_FILE: keep('tls.pem'), FIRSTBOOT_TLS_KEY_FILE: keep('tls.key.pem') }
  return [{ ...settings, ...files }, { execPath: program }]
}

async function besides(
  { beside }: Attack,
  port: number,
  { honest }: Seeded,
  seconds: number,
): Promise<Noticed | undefined> {
  if (beside === 'large messages') return honestLargeMessages(port, honest, seconds)
  return beside && honestSignIns(port, PERSON, seconds)
}

/** They have a thread of their own, so that their work does not delay the honest ones. */
function attackers(workerData: AttackWork): Promise<AttackReport> {
  const worker = new Worker(new URL('./attackers.ts', import.meta.url), { workerData })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

/** Looks at the memory of a process from outside, as a server under attack may not answer. */
function sampler(pid: number): { stop(): { before: number; most: number } } {
  const rss = () => {
    // There is no file when the process has ended.
    const status = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : ''
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
  }
  const before = rss()
  let most = before
  const timer = setInterval(() => (most = Math.max(most, rss())), SAMPLE_MS).unref()
  return {
    stop() {
      clearInterval(timer)
      return { before, most: Math.max(most, rss()) }
    },
  }
}

/** What a process has used so far. */
function cpuSeconds(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ').slice(11, 13)
  return (Number(user) + Number(system)) / 100
}

async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  const late = new AbortController()
  try {
    return await Promise.race([
      work,
      pause(seconds * 1_000, undefined, late).then(() => {
        throw new Error(`the server has not answered for ${PATIENCE_SECONDS} s`)
      }),
    ])
  } finally {
    late.abort()
    work.catch(() => undefined)
  }
}

function print(name: string, noticed: readonly (readonly [string, Noticed, Noticed])[]): void {
  console.log(name)
  const told = ({ p50, p99, failures, requests }: Noticed) =>
    `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms${failures > 0 ? ` (${failures} of ${requests} failed)` : ''}`
  for (const [what, quiet, attacked] of noticed)
    console.log(`  ${what.padEnd(16)} ${told(attacked)}; quiet ${told(quiet)}`)
}
