import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { createDeviceHttp, createFleet, startFakeApns } from '../simulator/index.ts'
import type { FakeApns, Fleet } from '../simulator/index.ts'
import { Unreachable, type ApiCall, type ApiClient } from './client.ts'
import { NoToken } from './connection.ts'
import { startSimulatedAde } from './simulated-ade.ts'
import { keepApnsFiles, type ApnsFiles } from './simulator-files.ts'
import { describeBreaches, summarize } from './simulation-summary.ts'
import { UsageError } from './verb.ts'
import { simulate as verb } from './verbs/index.ts'

/** What `firstboot simulate` was asked to do. */
type SimulateOptions = ReturnType<typeof readSimulateOptions>

/** What a simulation needs from around it. */
export interface SimulateDeps {
  url: string
  api: ApiClient
  options: SimulateOptions
  write: (text: string) => void
  /** Ends it. */
  signal: AbortSignal
  /** Time between looks for a server that is not there yet, in milliseconds. */
  pollMs?: number
}

const QUIET_MS = 3_000
const POLL_MS = 1_000
const LINK_HOURS = 24

/** Options with their defaults; throws UsageError for values that make no sense. */
export function readSimulateOptions(given: Readonly<Record<string, unknown>>) {
  const number = (name: string, fallback: number, min: number, max: number) => {
    const value = given[name] ?? fallback
    if (typeof value === 'number' && value >= min && value <= max) return value
    throw new UsageError(`--${name.replaceAll('_', '-')} must be from ${min} to ${max}`, verb)
  }
  const text = (name: string) => (typeof given[name] === 'string' ? given[name] : undefined)
  return {
    devices: number('devices', 25, 1, 100_000),
    links: Array.isArray(given['link']) ? given['link'].map(String) : [],
    folder: text('folder') ?? './firstboot-simulator',
    apnsHost: text('apns_host') ?? '127.0.0.1',
    apnsPort: number('apns_port', 2197, 0, 65_535),
    ade: given['ade'] === true,
    adePort: number('ade_port', 2198, 0, 65_535),
    caFile: text('ca_file'),
    setup: given['setup'] === true,
    apnsOnly: given['apns_only'] === true,
    once: given['once'] === true,
    seed: text('seed') ?? 'firstboot',
    concurrency: number('concurrency', 16, 1, 1_000),
    apps: number('apps', 5, 0, 100_000),
    notNow: number('not_now', 0, 0, 1),
    fail: number('fail', 0, 0, 1),
    asleep: number('asleep', 0, 0, 1),
  }
}

/** Runs the fake APNs and the devices; exit code 1 when the server broke the protocol or devices were refused. */
export async function simulate(deps: SimulateDeps): Promise<number> {
  const { options, write, signal } = deps
  const files = await keepApnsFiles(options.folder, new Date())
  const { apnsHost: host, apnsPort: port } = options
  const apns = await startFakeApns({ host, port, certificates: files.certificates })
  const ca = options.caFile === undefined ? undefined : await readFile(options.caFile, 'utf8')
  const http = createDeviceHttp({ ...(ca === undefined ? {} : { ca }), maxSockets: options.concurrency })
  let ade: Awaited<ReturnType<typeof startSimulatedAde>> | undefined
  try {
    if (options.ade) ade = await startSimulatedAde({ options, apns, http })
    write(introduction(apns, files))
    if (ade !== undefined) write(ade.introduction)
    const breaches = () => [
      ...apns.violations.map((detail) => ({ kind: 'apns', serial_number: null, detail })),
      ...(ade?.violations() ?? []),
    ]
    if (options.apnsOnly) {
      await untilStopped(signal)
      write(describeBreaches(breaches()))
      return breaches().length === 0 ? 0 : 1
    }
    await prepareServer(deps, files)
    const links = options.links.length > 0 ? options.links : [await makeLink(deps)]
    const fleet = createFleet({
      size: options.devices,
      http,
      apns,
      seed: options.seed,
      concurrency: options.concurrency,
      asleep: options.asleep,
      source: (index) => ({ url: links[index % links.length] ?? '' }),
      device: () => ({
        appCount: options.apps,
        // Who holds them says yes, and a package is not fetched once more for each of them.
        apps: { prompts: 'accept', download: 'head' },
        mood: { notNow: options.notNow, fail: options.fail },
      }),
    })
    await run(fleet, deps)
    const { text, ok } = summarize(fleet, breaches())
    write(text)
    return ok ? 0 : 1
  } finally {
    await ade?.close()
    http.close()
    await apns.close()
  }
}

async function run(fleet: Fleet, { options, write, signal }: SimulateDeps): Promise<void> {
  const stopped = untilStopped(signal)
  await Promise.race([fleet.enroll(), stopped])
  write(`${fleet.counter.stats.enrolled} of ${options.devices} devices are enrolled.\n`)
  await (options.once ? Promise.race([fleet.quiet(QUIET_MS), stopped]) : stopped)
  await fleet.stop()
}

async function untilStopped(signal: AbortSignal): Promise<void> {
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

function introduction(apns: FakeApns, files: ApnsFiles): string {
  return `The fake APNs is at ${apns.url}. The server must know it:
  FIRSTBOOT_APNS_URL=${apns.url}
  FIRSTBOOT_APNS_CA_FILE=${files.caFile}
and have its push certificate (or run this with --setup):
  firstboot push-certificates put ${files.pushCertificateFile}
`
}

/** Waits until the server answers, and gives it the push certificate if that was asked for. */
async function prepareServer(deps: SimulateDeps, files: ApnsFiles): Promise<void> {
  const { api, options, write } = deps
  if (!options.setup && options.links.length > 0) return
  const { items } = (await insist(deps, { method: 'GET', path: '/push-certificates', query: {} })) as {
    items: unknown[]
  }
  if (!options.setup || items.length > 0) return
  const body = await readFile(files.pushCertificateFile)
  const contentType = 'application/x-pem-file'
  await api({ method: 'PUT', path: '/push-certificates', query: {}, body, contentType })
  write('The push certificate of the fake APNs is stored in the server.\n')
}

/** Makes a call as soon as the server is there; its admin token may not be there before it either. */
async function insist(
  { api, write, signal, pollMs = POLL_MS }: SimulateDeps,
  call: ApiCall,
): Promise<unknown> {
  for (let told = false; ; told = true) {
    try {
      return await api(call)
    } catch (error) {
      const early = error instanceof Unreachable || error instanceof NoToken
      if (!early || signal.aborted) throw error
      if (!told) write(`Waiting for the server: ${error.message}\n`)
      await pause(pollMs, undefined, { signal }).catch(() => undefined)
    }
  }
}

async function makeLink({ api, options, write }: SimulateDeps): Promise<string> {
  const expires = new Date(Date.now() + LINK_HOURS * 3_600_000).toISOString()
  const body = { uses: options.devices, expires_at: expires }
  const { url } = (await api({ method: 'POST', path: '/enrollment-links', query: {}, body })) as {
    url: string
  }
  write(`Enrolling ${options.devices} devices through ${url}\n`)
  return url
}
