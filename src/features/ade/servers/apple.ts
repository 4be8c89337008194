import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { AppError } from '../../../kernel/errors.ts'
import {
  AdeError,
  createAdeClient,
  type AdeClient,
  type OAuthCredentials,
} from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import { createStops } from './stops.ts'
import * as store from './store.ts'

const ADE_USER_AGENT = 'Firstboot'
/** Enough for Apple to define a profile or to assign a thousand devices. */
const CALL_TIMEOUT_MS = 60_000

/** The way to Apple for all servers. */
export type Apple = ReturnType<typeof createApple>

/**
 * One client a server with its present token, nobody calling before a Retry-After has passed, and what stops a
 * server (a token that Apple rejects, say) noted when it shows and when it is over.
 */
export function createApple(
  deps: Pick<AdeDeps, 'db' | 'clock' | 'events' | 'secretBox' | 'http' | 'service'>,
) {
  const { db, clock } = deps
  const clients = new Map<string, { token: Buffer; client: AdeClient }>()
  const stops = createStops(deps)

  function clientOf(server: store.ServerRow, token: Buffer): AdeClient {
    const known = clients.get(server.id)
    if (known?.token.equals(token)) return known.client
    const opened = deps.secretBox.open(token, SEALED_FOR.adeToken(server.id))
    const client = createAdeClient({
      baseUrl: deps.service.url,
      token: JSON.parse(opened.toString('utf8')) as OAuthCredentials,
      http: deps.http,
      clock,
      userAgent: ADE_USER_AGENT,
    })
    clients.set(server.id, { token, client })
    return client
  }

  function refusePause({ paused_until: until }: store.ServerRow): void {
    const left = until === null ? 0 : until.getTime() - clock.now().getTime()
    if (left <= 0) return
    throw new AdeError('throttled', `Apple asks not to be called before ${until?.toISOString()}.`, {
      retryAfterMs: left,
    })
  }

  /** Bounds a call by time, on our clock. */
  async function bounded<T>(
    work: (signal: AbortSignal) => Promise<T>,
    options: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<T> {
    const late = new AbortController()
    const undo = clock.after(options.timeoutMs ?? CALL_TIMEOUT_MS, () => late.abort())
    try {
      return await work(options.signal ? AbortSignal.any([late.signal, options.signal]) : late.signal)
    } finally {
      undo()
    }
  }

  return {
    /**
     * Calls Apple for a server. Rejects with AdeError (`throttled` as well when it is too early to call), and with
     * `conflict` when the server has no token.
     */
    async call<T>(
      serverId: string,
      work: (client: AdeClient, options: { signal: AbortSignal }) => Promise<T>,
      options: { timeoutMs?: number; signal?: AbortSignal } = {},
    ): Promise<T> {
      const server = await store.findServer(db.kysely, serverId)
      if (!server?.token) throw new AppError('conflict', 'The ADE server has no token.')
      refusePause(server)
      const client = clientOf(server, server.token)
      try {
        const result = await bounded((signal) => work(client, { signal }), options)
        if (server.stopped_reason !== null) await stops.resume(server.id)
        return result
      } catch (error) {
        if (error instanceof AdeError) await heed(server, error)
        throw error
      }
    },
  }

  async function heed(server: store.ServerRow, error: AdeError): Promise<void> {
    const { retryAfterMs } = error
    if (retryAfterMs !== undefined && retryAfterMs > 0) {
      await store.pause(db.kysely, server.id, new Date(clock.now().getTime() + retryAfterMs))
    }
    await stops.note(server, error)
  }
}
