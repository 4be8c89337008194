import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Operator } from '../features/operators/index.ts'
import { newSecret } from '../kernel/ids.ts'
import { isRecord } from '../kernel/records.ts'
import type { Authenticate } from './authentication.ts'

/** Who asks for the audit trail. Viewers are shown no secrets, so neither is the trail. */
const OWN: Operator = { kind: 'api_token', id: 'audit', name: 'audit', role: 'viewer', makers: [] }

/** Whether it is the server itself that asks. */
export function isOwn(request: Pick<FastifyRequest, 'operator'>): boolean {
  return request.operator === OWN
}

/** What viewers are told of things, for the audit trail; asked in this process, without a connection. */
export type OwnView = ReturnType<typeof createOwnView>

/** It knows the routes that are added to `app` afterwards. */
export function createOwnView(app: FastifyInstance) {
  const secret = Buffer.from(newSecret())
  const authorization = `Bearer ${secret.toString()}`
  const shown = new Set<string>()
  app.addHook('onRoute', ({ method, url }) => {
    if ([method].flat().includes('GET')) shown.add(url)
  })

  return {
    /** Knows the server itself besides those whom `authenticate` knows. */
    recognise: (authenticate: Authenticate): Authenticate => {
      return async (given) => {
        const bytes = Buffer.from(given)
        return bytes.length === secret.length && timingSafeEqual(bytes, secret) ? OWN : authenticate(given)
      }
    },
    /**
     * Where the thing is told that a request is about: at its own address, or the nearest above it that names a thing;
     * undefined when there is none, as for what is yet to be made.
     */
    addressOf({ routeOptions, params, method }: FastifyRequest): string | undefined {
      const parts = routeOptions.url?.split('/') ?? []
      for (let length = parts.length; length > 0; length -= 1) {
        const route = parts.slice(0, length)
        const names = route.filter((part) => part.startsWith(':'))
        if (names.length === 0 && (length < parts.length || method === 'POST')) return undefined
        if (!shown.has(route.join('/'))) continue
        const values = params as Record<string, string>
        return route
          .map((part) => (part.startsWith(':') ? encodeURIComponent(values[part.slice(1)] ?? '') : part))
          .join('/')
      }
      return undefined
    },
    /** What is told at an address; null when that is nothing, or no JSON. */
    async at(address: string): Promise<Record<string, unknown> | null> {
      const answer = await app.inject({ url: address, headers: { authorization } })
      const isJson = String(answer.headers['content-type']).startsWith('application/json')
      if (answer.statusCode !== 200 || !isJson) return null
      const told: unknown = answer.json()
      return isRecord(told) ? told : null
    },
  }
}
