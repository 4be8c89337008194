import { onTestFinished } from 'vitest'
import type { Db } from '../../../../src/db/index.ts'
import {
  appRoutes,
  appsApi,
  createApps,
  createPackageFiles,
  createPackages,
} from '../../../../src/features/rollout/index.ts'
import { createThreadPool } from '../../../../src/kernel/threads.ts'
import { createIpaReader, ipaWorkerScript } from '../../../../src/protocol/ipa/index.ts'
import { doorsOf } from '../../../support/api-world.ts'
import { as, httpWorld } from '../../../support/http-world.ts'
import { temporaryFolder } from '../../../support/temporary-folder.ts'

export const PUBLIC_URL = 'https://mdm.example.org'
export const INSTANCE = 'instance-of-these-tests'

/** Apps over a test's database and a folder of their own, behind real listeners. */
export async function appsWorld(db: Db, options: { limit?: number } = {}) {
  const doors = doorsOf(db)
  const folder = temporaryFolder()
  onTestFinished(folder.remove)
  const threads = createThreadPool({ script: ipaWorkerScript, size: 1 })
  onTestFinished(threads.close)
  const files = createPackageFiles({ dataDir: folder.path, instanceId: INSTANCE })
  const apps = createApps({ ...doors, publicUrl: PUBLIC_URL })
  const packages = createPackages({
    ...doors,
    publicUrl: PUBLIC_URL,
    apps,
    files,
    ipa: createIpaReader(threads),
    limit: async () => options.limit ?? 64 * 1024 * 1024,
  })
  const { http } = await httpWorld({
    scopes: { operator: appsApi({ apps, packages }), device: appRoutes({ packages }) },
    timeouts: { request: 1_000, check: 100 },
  })
  const { main: address } = await http.listen()

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const isBytes = body instanceof Uint8Array || body instanceof ReadableStream
    const response = await fetch(`${address}/api/v1${path}`, {
      method,
      headers: {
        ...as('admin'),
        ...(body !== undefined && {
          'content-type': isBytes ? 'application/octet-stream' : 'application/json',
        }),
        ...headers,
      },
      ...(body !== undefined && { body: isBytes ? body : JSON.stringify(body), duplex: 'half' }),
    })
    const text = await response.text()
    // oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
    const parsed: any = text === '' ? undefined : JSON.parse(text)
    return { status: response.status, headers: response.headers, body: parsed }
  }

  /** An enterprise app with a package. */
  async function hosted(bytes: Uint8Array) {
    const { body } = await call('POST', '/apps', { kind: 'enterprise', name: 'Till' })
    return call('PUT', `/apps/${body.id}/package`, bytes)
  }

  /** The address of the newest package of an app, below the public one. */
  async function pathOf(id: string): Promise<string> {
    const [facts] = await apps.findRevisions(db.kysely, [{ id, revision: (await apps.get(id)).revision }])
    return facts?.manifest_url?.slice(PUBLIC_URL.length) ?? ''
  }

  return { ...doors, apps, packages, files, folder: folder.path, address, call, hosted, pathOf }
}
