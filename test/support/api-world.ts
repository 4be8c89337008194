import type { FastifyPluginAsync } from 'fastify'
import type { Db, Tx } from '../../src/db/index.ts'
import type { NewEvent } from '../../src/features/events/index.ts'
import { createEvents } from '../../src/features/events/index.ts'
import { createGovernor } from '../../src/features/governor/index.ts'
import { createIdempotencyKeys, createOperators, type Operators } from '../../src/features/operators/index.ts'
import type { Http } from '../../src/http/index.ts'
import { createLog } from '../../src/kernel/log.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { httpWorld } from './http-world.ts'
import { type ManualClock, manualClock } from './manual-clock.ts'

/** A parsed answer, whose shape the test asserts. */
// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any

/** What every door needs, over a test's database. */
export function doorsOf(db: Db, clock: ManualClock = manualClock()) {
  const lines: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  const metrics = createMetrics()
  const events = createEvents({ db, clock, log, metrics })
  const secretBox = createSecretBox({ key: Buffer.alloc(32, 7) })
  const emitted: NewEvent[] = []
  const watched = {
    ...events,
    async emit(trx: Tx, ...facts: NewEvent[]) {
      emitted.push(...facts)
      await events.emit(trx, ...facts)
    },
  }
  const logged = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const governor = createGovernor({ db, clock, log, secretBox, events: watched })
  return { db, clock, log, logged, metrics, events: watched, emitted, secretBox, governor }
}

/** An operator API over a test's database, with a valid admin token, as the server builds it. */
export async function apiWorld(options: {
  db: Db
  clock?: ManualClock
  operators: Operators
  routes: FastifyPluginAsync
}): Promise<{
  http: Http
  /** Calls the API as the admin; the answer's body is parsed. */
  call: (
    method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; headers: Record<string, unknown>; body: Json }>
}> {
  const { db, operators, routes, clock = manualClock() } = options
  const { secretBox } = doorsOf(db)
  const secret = 'the-admin-token-of-these-tests-0123456789'
  await operators.ensureAdminToken(secret, { isGiven: true })
  const { http } = await httpWorld({
    clock,
    authenticate: operators.authenticate,
    idempotencyKeys: createIdempotencyKeys({ db, clock, secretBox }),
    scopes: { operator: routes },
  })
  return {
    http,
    async call(method, path, body, headers = {}) {
      const answer = await http.operator.inject({
        method,
        url: `/api/v1${path}`,
        headers: { authorization: `Bearer ${secret}`, ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
      })
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: answer.body === '' ? undefined : answer.json(),
      }
    },
  }
}

/** The operators' door over a test's database. */
export function operatorsOf(doors: ReturnType<typeof doorsOf>): Operators {
  return createOperators(doors)
}
