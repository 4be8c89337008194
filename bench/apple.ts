import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createFakeAppleCa, startFakeAde, type FakeAde, type FakeAppleCa } from '../src/simulator/index.ts'
import { api } from './population.ts'
import type { ServerProcess } from './server-process.ts'

const APPLE_ID = 'admin@example.com'
const DEADLINE_MS = 120_000
const POLL_MS = 20

/** A fake Apple of a run: its cloud, and the CA of its devices. */
export interface Apple {
  cloud: FakeAde
  ca: FakeAppleCa
  /** What a server must be told to believe it. */
  settings: Record<string, string>
}

/** Starts the fakes; the CA's certificate is put into the folder. */
export async function startApple(folder: string): Promise<Apple> {
  const cloud = await startFakeAde()
  const ca = await createFakeAppleCa(new Date())
  const caFile = path.join(folder, 'apple-ca.pem')
  writeFileSync(caFile, ca.pem)
  const settings = { FIRSTBOOT_ADE_URL: cloud.url, FIRSTBOOT_MACHINE_INFO_CA_FILE: caFile }
  return { cloud, ca, settings }
}

/** Waits until something is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`in vain waited for ${what}`)
    await pause(POLL_MS)
  }
}

/** Makes an ADE server with these serial numbers and uploads its token, upon which the first sync starts; its id. */
export async function addAdeServer(
  server: ServerProcess,
  { cloud }: Apple,
  name: string,
  serials: readonly string[],
): Promise<string> {
  const { id } = await api<{ id: string }>(server, 'POST', '/ade-servers', { name })
  const certificatePem = await api<string>(server, 'GET', `/ade-servers/${id}/encryption-key`)
  const token = cloud.portal.addServer({ name, certificatePem })
  cloud.portal.addDevices(serials, name)
  await api(server, 'PUT', `/ade-servers/${id}/token?apple_id=${APPLE_ID}`, token)
  return id
}

/** A run of a sync as the API tells it. */
interface SyncRun {
  state: string
  seen: number
  error: unknown
}

/** Waits for the end of the newest sync of an ADE server. */
export async function syncEnd(server: ServerProcess, id: string): Promise<SyncRun> {
  let run: SyncRun | undefined
  await until('the end of a sync', async () => {
    ;[run] = (await api<{ items: SyncRun[] }>(server, 'GET', `/ade-servers/${id}/syncs?limit=1`)).items
    return run !== undefined && run.state !== 'running'
  })
  if (run?.state !== 'succeeded') throw new Error(`the sync ended as ${run?.state}: ${String(run?.error)}`)
  return run
}

/** Makes a policy without user affinity and gives it to all serial numbers of an ADE server; its id. */
export async function assignPolicy(
  server: ServerProcess,
  adeServerId: string,
  name: string,
): Promise<string> {
  const { id } = await api<{ id: string }>(server, 'POST', '/enrollment-policies', {
    name,
    ade: { enabled: true },
  })
  await api(server, 'POST', `/enrollment-policies/${id}/assign`, { all: true, ade_server_id: adeServerId })
  return id
}

/** Waits until Apple has a profile for all of these serial numbers. */
export async function assigned({ cloud }: Apple, serials: readonly string[]): Promise<void> {
  let at = 0
  await until('the assignment at Apple', () => {
    while (at < serials.length && cloud.device(serials[at] ?? '').profileStatus === 'assigned') at++
    return at === serials.length
  })
}
