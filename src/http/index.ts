import './decorations.ts'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Server } from 'node:tls'
import type { Config } from '../config/config.ts'
import type { DeviceIdentity } from '../features/device-identity/index.ts'
import type { IdempotencyKeys } from '../features/operators/index.ts'
import type { Clock } from '../kernel/clock.ts'
import { describeError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { createAccessLog, noteRefusal } from './access-log.ts'
import type { AuditDeps } from './audit.ts'
import type { Authenticate } from './authentication.ts'
import { createClientCertificates } from './client-certificate.ts'
import { boundConnections, connectionBudget } from './connections.ts'
import { deviceScope } from './device-scope.ts'
import { drain } from './drain.ts'
import { enrollScope } from './enroll-scope.ts'
import { toAppError } from './errors.ts'
import { addHealth, createReadiness, metricsRoute, type Readiness } from './health.ts'
import { DEFAULT_TIMEOUTS, type Timeouts, createListener } from './listener.ts'
import { nanomdmScope } from './nanomdm-scope.ts'
import { operatorScope } from './operator-scope.ts'
import { explainListenFailure } from './port-holder.ts'
import { createTrust } from './proxies.ts'
import { createRateLimit } from './rate-limit.ts'
import { createRequestIds } from './request-ids.ts'
import { type RoutesTable, createRoutesTable } from './routes-table.ts'
import { tlsOptions, watchTls } from './tls.ts'

const MAX_LOGGED_PATH = 40
/** Of all connections, that of the operators' own listener. */
const OPERATOR_PART = 8

/** What the HTTP side is made of; `scopes` holds the features' plugins by the scope they belong to. */
export type HttpDeps = {
  config: Pick<
    Config,
    'listener' | 'operatorListener' | 'publicUrl' | 'tls' | 'trustedProxies' | 'clientCertHeader'
  >
  /** Of the program, for the API's description. */
  version: string
  log: Log
  metrics: Metrics
  clock: Clock
  authenticate: Authenticate
  /** Who sends a large body of the device scope. */
  prove: DeviceIdentity['prove']
  idempotencyKeys: IdempotencyKeys
  audit: AuditDeps['audit']
  /** Calls of one token a second. */
  callsPerSecond: () => Promise<number>
  /** Throws while the server cannot serve: database, migrations. Gives what else an operator should look at, a line each. */
  ready: () => Promise<readonly string[]>
  scopes: {
    device: readonly FastifyPluginAsync[]
    enroll: readonly FastifyPluginAsync[]
    operator: readonly FastifyPluginAsync[]
    nanomdm: readonly FastifyPluginAsync[]
  }
  timeouts?: Partial<Timeouts>
  tlsPollIntervalMs?: number
  /** Of all listeners together; what the system allows this process when it is left out. */
  maxConnections?: number
}

/** The running HTTP side. */
export type Http = Awaited<ReturnType<typeof createHttp>>

/** Builds the listeners and their scopes. Throws when a route is not as it must be. */
export async function createHttp(deps: HttpDeps) {
  const { config, log, clock } = deps
  let draining = false
  const trusts = createTrust(config.trustedProxies)
  const shared = {
    log,
    trusts,
    requestId: createRequestIds(trusts),
    timeouts: { ...DEFAULT_TIMEOUTS, ...deps.timeouts },
    isDraining: () => draining,
    isSecure: config.tls !== null || config.publicUrl.startsWith('https:'),
  }
  const handshakeTimeout = shared.timeouts.handshake
  const readiness = createReadiness({
    isDraining: shared.isDraining,
    ready: deps.ready,
    after: clock.after,
  })
  const make = (clientCertificates: boolean, mount: Mount) =>
    assemble(
      createListener(shared, config.tls && tlsOptions(config.tls, { clientCertificates, handshakeTimeout })),
      deps,
      mount,
      readiness,
    )

  const clientCertificateOf = createClientCertificates({
    header: config.clientCertHeader,
    trusts,
    log,
    clock,
  })
  const devices: Mount = async (app) => {
    await app.register(deviceScope({ ...deps, clientCertificateOf, routes: deps.scopes.device }))
    await app.register(enrollScope({ ...deps, clientCertificateOf, routes: deps.scopes.enroll }))
  }
  const rateLimit = createRateLimit({ clock, perSecond: deps.callsPerSecond })
  const operators: Mount = async (app, table) => {
    const routes = deps.scopes.operator
    await app.register(operatorScope({ ...deps, rateLimit, table, routes }), { prefix: '/api' })
    await app.register(nanomdmScope({ ...deps, rateLimit, routes: deps.scopes.nanomdm }))
    await app.register(metricsRoute(deps))
  }
  const isSplit = config.operatorListener !== null
  const main = await make(true, async (app, table) => {
    await devices(app, table)
    if (!isSplit) await operators(app, table)
  })
  const operator = isSplit ? await make(false, operators) : main
  const apps = isSplit ? [main, operator] : [main]
  // Operators have a share of their own, which those at the other listener cannot take.
  const budget = deps.maxConnections ?? connectionBudget()
  const share = isSplit ? Math.max(1, Math.floor(budget / OPERATOR_PART)) : 0
  if (isSplit) boundConnections(operator.server, { max: share, log, clock })
  boundConnections(main.server, { max: Math.max(1, budget - share), log, clock })
  const servers = apps.map((app) => app.server as unknown as Server)
  let tls: ReturnType<typeof watchTls> | undefined

  return {
    /** What devices reach. */
    main,
    /** What operators reach; the same as `main` unless they have a listener of their own. */
    operator,
    /** Binds the listeners; answers their addresses. */
    async listen() {
      const first = await listen(main, config.listener)
      const second = config.operatorListener ? await listen(operator, config.operatorListener) : first
      if (config.tls) tls = watchTls(config.tls, servers, log, deps.tlsPollIntervalMs)
      return { main: first, operator: second }
    },
    /** Takes the TLS files as they are now. */
    reloadTls: () => tls?.reload(),
    /** Takes no new connections, answers what runs (at most `boundMs`, default 10 s), then ends. `/readyz` says 503 meanwhile. */
    async close(boundMs?: number) {
      draining = true
      tls?.stop()
      await Promise.all(apps.map((app) => drain(app, clock, boundMs)))
    },
  }
}

async function listen(app: FastifyInstance, at: Config['listener']): Promise<string> {
  try {
    return await app.listen({ ...at })
  } catch (error) {
    throw explainListenFailure(error)
  }
}

type Mount = (app: FastifyInstance, table: RoutesTable) => Promise<void>

async function assemble(
  app: FastifyInstance,
  deps: HttpDeps,
  mount: Mount,
  readiness: () => Promise<Readiness>,
): Promise<FastifyInstance> {
  const table = createRoutesTable()
  table.watch(app)
  app.setErrorHandler((thrown, request, reply) => refuse(deps.log, thrown, request, reply))
  app.setNotFoundHandler((request, reply) => refuseUnknown(deps, table, request, reply))
  await app.register(async (plain) => {
    plain.addHook('onResponse', createAccessLog({ ...deps, scope: 'none', quiet: 'debug' }))
    addHealth(plain, readiness)
  })
  await mount(app, table)
  await app.ready()
  return app
}

function refuse(log: Log, thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toAppError(thrown)
  noteRefusal(log, error, request)
  reply.code(describeError(error.code).status).send()
}

function refuseUnknown(
  deps: HttpDeps,
  table: RoutesTable,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const path = request.url.split('?')[0] ?? ''
  const methods = table.methodsOf(path)
  const status = methods.length > 0 ? 405 : 404
  if (methods.length > 0) reply.header('allow', methods.join(', '))
  // The rest of an address may be a key that was sent to the wrong place.
  const start = path.split('/', 2).join('/').slice(0, MAX_LOGGED_PATH)
  const { id, method, ip } = request
  const fields = { request_id: id, method, path: start, status, address: ip }
  deps.log.info(
    { event: 'http.unknown_route', ...fields },
    'a request came for an address that is not served',
  )
  reply.code(status).send()
}
