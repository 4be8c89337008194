import { randomBytes } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { verifyOAuth } from '../../protocol/ade/index.ts'
import { refused, type AdeAnswer } from './answers.ts'
import type { AppleServer, Organization } from './organization.ts'
import type { ReportAdeViolation } from './watch.ts'

/** A line of session tokens that began with one login. */
interface Session {
  server: AppleServer
  calls: number
  /** A call was refused, so that a new login is right. */
  lost: boolean
  lastUsed: number
}

/** Logins and sessions of a fake cloud. */
export type AdeSessions = ReturnType<typeof createAdeSessions>

const IDLE_MS = 3 * 60_000
/** How long a token that was replaced is still good, for calls that were under way. */
const REPLACED_TOKEN_MS = 30_000
const TOLERANCE_SECONDS = 300
const NONCE_MS = 2 * TOLERANCE_SECONDS * 1_000
const MAX_WASTED = 3

/** Sessions of the servers of an organisation. */
export function createAdeSessions(deps: {
  organization: Organization
  clock: Clock
  report: ReportAdeViolation
}) {
  const { organization, clock, report } = deps
  const time = () => clock.now().getTime()
  const tokens = new Map<string, { session: Session; until: number }>()
  const takeNonce = createNonces(time)
  const newest = new Map<AppleServer, Session>()
  const wasted = new Map<AppleServer, number>()

  const byKey = (consumerKey: string | undefined) =>
    organization.servers.find(({ credentials }) => credentials.consumerKey === consumerKey)

  function give(session: Session): string {
    const token = `${time()}O${randomBytes(24).toString('hex').toUpperCase()}`
    tokens.set(token, { session, until: time() + IDLE_MS })
    return token
  }

  /** Three good sessions in a row that served one call each are a client that logs in for every call. */
  function judgeLast(server: AppleServer): void {
    const last = newest.get(server)
    const isWaste = last !== undefined && !last.lost && last.calls === 1 && time() - last.lastUsed < IDLE_MS
    const count = isWaste ? (wasted.get(server) ?? 0) + 1 : 0
    wasted.set(server, count)
    if (count >= MAX_WASTED) report('session_per_call', `${server.name}: ${count} sessions for a call each`)
  }

  function open(server: AppleServer): AdeAnswer {
    if (server.deleted) return refused(403, 'ACCESS_DENIED')
    if (server.tokenExpiresAt <= clock.now()) return refused(401, 'token_expired')
    if (!server.termsSigned) return refused(403, 'T_C_NOT_SIGNED')
    judgeLast(server)
    const session = { server, calls: 0, lost: false, lastUsed: time() }
    newest.set(server, session)
    return { status: 200, json: { auth_session_token: give(session) } }
  }

  function find(token: string | undefined): Session | undefined {
    const entry = token === undefined ? undefined : tokens.get(token)
    if (entry !== undefined && entry.until > time()) return entry.session
    if (entry !== undefined) entry.session.lost = true
    return undefined
  }

  return {
    /** GET /session. `url` as the client sees it. */
    logIn({ url, authorization }: { url: string; authorization: string | undefined }): AdeAnswer {
      const verdict = verifyOAuth(
        { method: 'GET', url, authorization },
        {
          find: (key) => byKey(key)?.credentials,
          takeNonce,
          now: clock.now(),
          toleranceSeconds: TOLERANCE_SECONDS,
        },
      )
      if (verdict.ok) return open(byKey(verdict.credentials.consumerKey)!)
      // A token that was replaced in the portal is nobody's mistake.
      const isStale = ['token_rejected', 'consumer_key_unknown'].includes(verdict.problem)
      if (!isStale) report('oauth_invalid', verdict.problem)
      return refused(verdict.status, verdict.problem)
    },
    /** Whose session a token is, and the token to use from now on. */
    use(token: string | undefined): { server: AppleServer; renewed: string } | AdeAnswer {
      if (token === undefined) report('session_missing', 'a call without X-ADM-Auth-Session')
      const session = find(token)
      if (session === undefined) return refused(401, 'UNAUTHORIZED')
      const { server } = session
      if (server.deleted) return refused(403, 'ACCESS_DENIED')
      if (!server.termsSigned) return refused(403, 'T_C_NOT_SIGNED')
      session.calls += 1
      session.lastUsed = time()
      prune(tokens, time())
      tokens.get(token!)!.until = Math.min(tokens.get(token!)!.until, time() + REPLACED_TOKEN_MS)
      return { server, renewed: give(session) }
    },
    /** The server that a login or a call concerns, whether it is right or not. */
    serverOf(token: string | undefined, authorization: string | undefined): AppleServer | undefined {
      const key = /oauth_consumer_key="([^"]*)"/.exec(authorization ?? '')?.[1]
      return key === undefined ? tokens.get(token ?? '')?.session.server : byKey(decodeURIComponent(key))
    },
    /** The session of this token is over. */
    lose(token: string | undefined) {
      const session = find(token)
      if (session === undefined) return
      session.lost = true
      for (const [other, entry] of tokens) if (entry.session === session) tokens.delete(other)
    },
    /** All sessions are over. */
    loseAll() {
      for (const { session } of tokens.values()) session.lost = true
      tokens.clear()
    },
  }
}

/** Takes each nonce once, as long as a signature with it would be good. */
function createNonces(time: () => number): (nonce: string) => boolean {
  const nonces = new Map<string, { until: number }>()
  return (nonce) => {
    prune(nonces, time())
    if (nonces.has(nonce)) return false
    nonces.set(nonce, { until: time() + NONCE_MS })
    return true
  }
}

/** Forgets what is over, oldest first. */
function prune(entries: Map<string, { until: number }>, now: number): void {
  for (const [key, { until }] of entries) {
    if (until > now) return
    entries.delete(key)
  }
}
