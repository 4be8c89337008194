import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import path from 'node:path'
import { benchEngine, CONNECTIONS, type Found } from './engine.ts'
import { load } from './load.ts'
import { measure } from './measure.ts'
import { print } from './report.ts'
import { SECONDS } from './scenarios.ts'
import { startServer } from './server-process.ts'

const ENGINES = ['postgres', 'embedded'] as const

/**
 * Ratios of Firstboot against a plain server and against a handler that does nothing, all measured in this run on this
 * machine, on PostgreSQL with its default settings (fsync on) and on the embedded database, or on `engine` alone; `only`
 * names one scenario, or `extras` for what is measured of Firstboot alone.
 *
 * Over 1, 8 and 64 connections, Firstboot and the plain server by turns:
 * - Idle poll: a device that has nothing to do asks for work, its signature checked.
 * - command cycle: each request is the answer to a command and brings the next one.
 * - TokenUpdate: of devices that are enrolled.
 * - whole enrolment: link, SCEP, Authenticate, TokenUpdate, first poll.
 * - Setup Assistant: the MachineInfo of a device at first power-on, answered with a signed profile of its own.
 *
 * Of Firstboot alone: 100,000 serial numbers fetched from a fake Apple and given a policy; phones powered on at 500 a
 * minute while 10,000 enrolled devices poll; polls beside bodies of 10 to 20 MB; polls with a long history; memory.
 */
export async function benchRatios(folder: string, engine?: string, only?: string): Promise<void> {
  const started = performance.now()
  const found: Found = { rows: [], facts: [] }
  for (const each of ENGINES)
    if (engine === undefined || engine === each) await benchEngine(each, folder, found, only)
  const empty = await startServer('empty')
  for (const connections of CONNECTIONS) {
    const request = Buffer.from('PUT /mdm/connect HTTP/1.1\r\nHost: bench\r\nContent-Length: 2\r\n\r\nhi')
    const run = () =>
      load({ port: empty.port, connections, seconds: SECONDS[connections], next: () => request })
    const figures = await measure('empty', empty, run)
    found.rows.push({
      engine: 'none',
      scenario: 'nothing (ceiling)',
      server: 'empty',
      connections,
      ...figures,
    })
  }
  await empty.stop()
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version }
  const seconds = Math.round((performance.now() - started) / 1000)
  print(found.rows, found.facts)
  console.log(`\n${seconds} s on ${machine.cpus} CPUs (${machine.model ?? 'unknown'}), Node ${machine.node}`)
  writeFileSync(
    path.join(import.meta.dirname, 'results.json'),
    `${JSON.stringify({ at: new Date().toISOString(), seconds, machine, ...found }, null, 2)}\n`,
  )
}
