import { load, summary, type LoadResult } from './load.ts'
import { enrolUntil } from './enrolling.ts'
import { acknowledge, idleRequest, tokenUpdate, type Speaker } from './population.ts'
import type { ServerProcess } from './server-process.ts'

/** Seconds of a run: what counts most is measured longest. */
export const SECONDS: Readonly<Record<1 | 8 | 64, number>> = { 1: 1, 8: 1.5, 64: 3 }
/** Answers of a device in a run; 64 devices take some five seconds for them. */
const COMMANDS = 200
/** What queueing sets going (pushes, events) is over by then, and is no part of what is measured. */
const AFTER_QUEUEING_MS = 4_000

/** One way of using a server, over so many connections. */
export type Scenario = (
  server: ServerProcess,
  speakers: Speaker[],
  connections: number,
  seconds: number,
) => Promise<LoadResult>

/** Every connection polls as a device of its own that has nothing to do. */
export const idlePolls: Scenario = async (server, speakers, connections, seconds) => {
  const requests = await Promise.all(speakers.slice(0, connections).map(idleRequest))
  return load({ port: server.port, connections, seconds, next: (index) => requests[index] })
}

/** Every device works off a queue: each request is the answer to a command and brings the next one. */
export const commandCycle: Scenario = async (server, speakers, connections) => {
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
  await new Promise((resolve) => setTimeout(resolve, AFTER_QUEUEING_MS))
  return load({ port: server.port, connections, seconds: 20, next: (index, turn) => requests[index]?.[turn] })
}

/** Every device sends the TokenUpdate of one that is enrolled already. */
export const tokenUpdates: Scenario = async (server, speakers, connections, seconds) => {
  const requests = await Promise.all(speakers.slice(0, connections).map(tokenUpdate))
  return load({ port: server.port, connections, seconds, next: (index) => requests[index] })
}

/** Whole enrolments: profile, SCEP, Authenticate, TokenUpdate, and the first poll. */
export function enrolments(linkPath: string): Scenario {
  return async ({ port }, _speakers, connections, seconds) => {
    const started = performance.now()
    const until = started + seconds * 2 * 1000
    const all = Array.from({ length: connections }, () => enrolUntil(port, linkPath, until))
    const ended = await Promise.all(all)
    const latencies = ended.flatMap((each) => each.latencies)
    const failures = ended.reduce((sum, each) => sum + each.failures, 0)
    return { ...summary(latencies), seconds: (performance.now() - started) / 1000, failures }
  }
}

/** Posts of MachineInfo at first power-on, each connection of other devices; each is answered with a signed profile. */
export function setupAssistantPosts(posts: readonly Buffer[]): Scenario {
  return (server, _speakers, connections, seconds) =>
    load({
      port: server.port,
      connections,
      seconds,
      next: (index, turn) => posts[(index + turn * connections) % posts.length],
    })
}
