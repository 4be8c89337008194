import type { FastifyPluginAsync } from 'fastify'
import { onTestFinished } from 'vitest'
import type { Operator, Role } from '../../src/features/operators/index.ts'
import { type Http, type HttpDeps, createHttp } from '../../src/http/index.ts'
import { createLog } from '../../src/kernel/log.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { type ManualClock, manualClock } from './manual-clock.ts'

type Scopes = HttpDeps['scopes']

/** Secrets of three callers, by their role. */
export const TOKENS: Record<Role, string> = {
  viewer: 'viewer-secret',
  operator: 'operator-secret',
  admin: 'admin-secret',
}

/** What stands here for the Mdm-Signature of a device of ours. */
export const OURS = 'ours'

/** The Authorization header of a role's token. */
export function as(role: Role): { authorization: string } {
  return { authorization: `Bearer ${TOKENS[role]}` }
}

/** The HTTP side around the given plugins, with its log lines and a clock that stands still. */
export interface HttpWorld {
  http: Http
  clock: ManualClock
  lines: Record<string, unknown>[]
}

/** Builds it as the server does; it is closed when the test ends. */
export async function httpWorld(
  options: Partial<Omit<HttpDeps, 'scopes' | 'config'>> & {
    scopes?: Partial<Record<keyof Scopes, FastifyPluginAsync>>
    config?: Partial<HttpDeps['config']>
  } = {},
): Promise<HttpWorld> {
  const lines: Record<string, unknown>[] = []
  const clock = manualClock()
  const { scopes = {}, config, ...rest } = options
  const http = await createHttp({
    version: '1.2.3',
    log: createLog({ level: 'debug', destination: { write: (line) => void lines.push(JSON.parse(line)) } }),
    metrics: createMetrics(),
    clock,
    authenticate: async (secret) => actorOf(secret),
    prove: async ({ signature }) =>
      signature === OURS ? { fingerprint: Buffer.from(OURS), body: undefined } : undefined,
    idempotencyKeys: {
      begin: () => Promise.reject(new Error('This test has no database.')),
      finish: () => Promise.reject(new Error('This test has no database.')),
      abandon: () => Promise.reject(new Error('This test has no database.')),
      expire: () => Promise.resolve(),
    },
    audit: { complete: async () => undefined, count: async () => undefined },
    callsPerSecond: async () => 1_000,
    ready: async () => [],
    ...rest,
    config: {
      listener: { host: '127.0.0.1', port: 0 },
      operatorListener: null,
      publicUrl: 'http://127.0.0.1:8080',
      tls: null,
      trustedProxies: [],
      clientCertHeader: null,
      ...config,
    },
    scopes: {
      device: listOf(scopes.device),
      enroll: listOf(scopes.enroll),
      operator: listOf(scopes.operator),
      nanomdm: listOf(scopes.nanomdm),
    },
  })
  onTestFinished(() => http.close(500))
  return { http, clock, lines }
}

function listOf(plugin: FastifyPluginAsync | undefined): FastifyPluginAsync[] {
  return plugin === undefined ? [] : [plugin]
}

function actorOf(secret: string): Operator | undefined {
  const roles = Object.keys(TOKENS) as Role[]
  const role = roles.find((name) => TOKENS[name] === secret)
  return role && { kind: 'api_token', id: `id-of-${role}`, name: role, role, makers: [] }
}
