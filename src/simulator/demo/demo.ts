import { setTimeout as pause } from 'node:timers/promises'
import { ACTS } from './acts/index.ts'
import { playAll, settle } from './telling/director.ts'
import { createStyle, type Style } from './telling/style.ts'
import { summarize } from './telling/summary.ts'
import { conclusion, farewell, introduction, WELCOME } from './telling/texts.ts'
import { findUntold } from './telling/untold.ts'
import { createDemoApi } from './world/api.ts'
import { makeActors } from './world/cast.ts'
import type { DemoClock } from './world/clock.ts'
import { startFakes, type Fakes } from './world/fakes.ts'
import { playRollout } from './world/rollout.ts'
import type { DemoServer, StartServer } from './world/server.ts'
import { setUp } from './world/setup.ts'
import type { Actor } from './world/stage.ts'

/** What the demo needs from around it. */
interface DemoDeps {
  clock: DemoClock
  startServer: StartServer
  write: (text: string) => void
  hasColours: boolean
  /** It ends when all phones are through, instead of staying up. */
  once: boolean
  /** Ends the demo between two acts, or while it stays up. */
  signal: AbortSignal
}

const CALL_WIDTH = 42
/** Pushes that are on their way arrive within this time. */
const QUIET_MS = 1_000

/**
 * A whole Firstboot with everything around it, and 25 phones that are powered on one after the other. Gives the exit
 * code: 1 when something else came of a phone than had to, or somebody broke a protocol.
 */
export async function runDemo(deps: DemoDeps): Promise<number> {
  const { clock, write, signal } = deps
  const style = createStyle(deps.hasColours)
  const fakes = await startFakes(clock)
  let server: DemoServer | undefined
  try {
    write(WELCOME)
    const started = Date.now()
    server = await deps.startServer({
      adeUrl: fakes.ade.url,
      apnsUrl: fakes.apns.url,
      apnsCaPem: fakes.apns.certificates.ca,
      machineInfoCaPem: fakes.ca.pem,
    })
    write(introduction({ server, fakes, style, startMs: Date.now() - started }))
    const { actors, code } = await perform(deps, { server, fakes, style })
    if (deps.once || signal.aborted) return code
    write(farewell({ server, style, actors }))
    await stopped(signal)
    write('\nStopping ...\n')
    return code
  } finally {
    await server?.close()
    await fakes.close()
  }
}

async function perform(
  { write, signal }: DemoDeps,
  { server, fakes, style }: { server: DemoServer; fakes: Fakes; style: Style },
): Promise<{ actors: readonly Actor[]; code: number }> {
  const api = createDemoApi(server)
  const actors = await makeActors(ACTS, fakes)
  const told = (call: string, result: string) =>
    write(`  ${style.soft(call.padEnd(CALL_WIDTH))}  ${result}\n`)
  const setup = await setUp({ api, fakes, url: server.url, acts: ACTS, actors, told })
  write(`\n${style.strong(`${actors.length} phones are powered on, one after the other`)}\n`)
  const world = { server, api, fakes, setup }
  const played = await playAll({ acts: ACTS, actors, world, write, style, signal })
  await settle(actors, QUIET_MS)
  write(`\n${style.strong('A new revision of a profile is released')}\n`)
  const tell = (line: string) => write(`    ${style.soft(line)}\n`)
  const rollout = signal.aborted ? undefined : await playRollout(world, actors, tell)
  await settle(actors, QUIET_MS)
  const { text, isComplete } = summarize(played, rollout, style)
  const breaches = breachesOf(actors, fakes)
  const untold = await findUntold(server, api)
  const isRight = isComplete && played.every(({ isAsExpected }) => isAsExpected)
  write(`\n${text}`)
  write(conclusion({ actors, played, breaches, untold, style }))
  return { actors, code: isRight && breaches.length === 0 && untold.length === 0 ? 0 : 1 }
}

/** Whatever somebody did against the rules of Apple, WS-Trust or OpenID. */
function breachesOf(actors: readonly Actor[], { ade, apns, directory, provider }: Fakes): string[] {
  const phones = actors.flatMap(({ number, phone }) => [
    ...phone.violations().map(({ kind, detail }) => `phone ${number}: ${kind}: ${detail}`),
    ...phone.faults().map((fault) => `phone ${number}: ${fault}`),
  ])
  return [
    ...new Set(phones),
    ...ade.violations.map(({ kind, detail }) => `ADE cloud: ${kind}: ${detail}`),
    ...apns.violations.map((text) => `APNs: ${text}`),
    ...directory.violations.map((text) => `directory: ${text}`),
    ...provider.violations.map((text) => `OpenID provider: ${text}`),
  ]
}

async function stopped(signal: AbortSignal): Promise<void> {
  // A timer keeps the process alive; the phones answer pushes meanwhile.
  while (!signal.aborted) await pause(60_000, undefined, { signal }).catch(() => undefined)
}
