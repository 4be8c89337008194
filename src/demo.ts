import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { startApp } from './app.ts'
import { loadConfig } from './config/config.ts'
import { isStartedByNpm, readEnv } from './config/env.ts'
import { loadSecrets } from './config/secrets.ts'
import type { Clock } from './kernel/clock.ts'
import { createLog } from './kernel/log.ts'
import { whenParentEnds } from './kernel/parent.ts'
import { createDemoClock, freePort, runDemo } from './simulator/index.ts'
import type { DemoServer, LogLine, StartServer } from './simulator/index.ts'

/** Starts servers of this program on the embedded database, with everything they keep below `folder`. */
function serverIn(folder: string, clock: Clock): StartServer {
  return async ({ adeUrl, apnsUrl, apnsCaPem, machineInfoCaPem }): Promise<DemoServer> => {
    const keep = (name: string, text: string) => {
      const file = path.join(folder, name)
      writeFileSync(file, text)
      return file
    }
    const env = readEnv({
      FIRSTBOOT_DATA_DIR: path.join(folder, 'data'),
      FIRSTBOOT_PORT: String(await freePort()),
      FIRSTBOOT_ADE_URL: adeUrl,
      FIRSTBOOT_APNS_URL: apnsUrl,
      FIRSTBOOT_APNS_CA_FILE: keep('apns-ca.pem', apnsCaPem),
      FIRSTBOOT_MACHINE_INFO_CA_FILE: keep('device-ca.pem', machineInfoCaPem),
    })
    const config = loadConfig(env)
    const secrets = loadSecrets(env, config.dataDir)
    const log: LogLine[] = []
    const logFile = path.join(folder, 'server.log')
    const file = createWriteStream(logFile)
    const write = (line: string) => {
      log.push(JSON.parse(line) as LogLine)
      file.write(line)
    }
    const app = await startApp({
      config,
      secrets,
      clock,
      log: createLog({ level: config.logLevel, destination: { write } }),
    })
    return {
      url: config.publicUrl,
      token: secrets.adminToken,
      tokenFile: secrets.adminTokenFile ?? '',
      logFile,
      log,
      async close() {
        await app.close()
        await new Promise((resolve) => file.end(resolve))
      },
    }
  }
}

/** Runs the demo and gives its exit code; whatever happens, the folder goes with it. */
async function main(once: boolean): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'firstboot-demo-'))
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stop.abort())
  if (isStartedByNpm()) whenParentEnds(() => stop.abort())
  const clock = createDemoClock()
  const { stdout } = process
  try {
    return await runDemo({
      clock,
      once,
      signal: stop.signal,
      startServer: serverIn(folder, clock),
      write: (text) => void stdout.write(text),
      hasColours: stdout.isTTY && stdout.hasColors(),
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

try {
  const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
  process.exitCode = await main(values.once)
} catch (error) {
  process.stderr.write(
    `firstboot demo: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  process.exitCode = 1
}
