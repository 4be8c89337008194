import { timingSafeEqual } from 'node:crypto'
import type { Db } from '../../../db/index.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import { newSecret, sha256 } from '../../../kernel/ids.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { createSessionCookie } from './cookie.ts'
import { createSessionsInCookies, holdsSession } from './in-cookie.ts'
import type { Kept, PendingSignIn, SessionState, WebSession } from './session.ts'
import { deleteExpiredSessions, deleteSession } from './store.ts'
import { createStoredSessions } from './stored.ts'

const LIFE_MINUTES = 30
/** Cookies in one header that are looked up. */
const MAX_COOKIES = 3

/** A session, and what goes into the answer's Set-Cookie header. */
type Opened = { session: WebSession; setCookie: string }

/** Web sessions, seen by all processes. */
export type Sessions = ReturnType<typeof createSessions>

/**
 * Web sessions live for 30 minutes from their opening: in the database once something was proved; until then in the cookie,
 * so that strangers write nothing.
 */
export function createSessions(deps: { db: Db; clock: Clock; secretBox: SecretBox; publicUrl: string }) {
  const { db, clock } = deps
  const cookie = createSessionCookie(deps.publicUrl)
  const stored = createStoredSessions(deps)
  const inCookies = createSessionsInCookies(deps)

  const newExpiry = () => addTime(clock.now(), LIFE_MINUTES, 'minute')

  function setCookie(value: string, { expiresAt }: WebSession): string {
    return cookie.set(value, Math.max(0, Math.floor((expiresAt.getTime() - clock.now().getTime()) / 1000)))
  }

  async function store(kept: Kept, expiresAt: Date): Promise<Opened> {
    const id = newSecret()
    const session = await stored.insert(id, kept, expiresAt)
    return { session, setCookie: setCookie(id, session) }
  }

  return {
    /** Opens a session that is kept here. */
    open: (state: SessionState = {}): Promise<Opened> => store({ state }, newExpiry()),

    /** Begins one for a browser that has proved nothing: it is in the cookie alone. */
    begin(state: SessionState): Opened {
      const session = inCookies.begin(newSecret(), { state }, newExpiry())
      return { session, setCookie: setCookie(inCookies.seal(session, { state }), session) }
    },

    /** The session of a request by its Cookie header; undefined when there is none or it has ended. */
    async find(cookieHeader: string | undefined): Promise<WebSession | undefined> {
      for (const value of cookie.read(cookieHeader).slice(0, MAX_COOKIES)) {
        const session = holdsSession(value) ? inCookies.open(value) : await stored.find(value)
        if (session !== undefined) return session
      }
      return undefined
    },

    /**
     * The same session with a changed state under a new id, kept here from now on, for the moment in which something was
     * proved: whoever had planted the old cookie is left with nothing. Undefined when it has ended.
     */
    async renew(session: WebSession, state: SessionState = {}): Promise<Opened | undefined> {
      const before = inCookies.keptOf(session)
      if (before !== undefined) return store({ state: { ...before.state, ...state } }, session.expiresAt)
      const { kept, expiresAt } = (await stored.take(session.id)) ?? {}
      return kept && expiresAt && store({ ...kept, state: { ...kept.state, ...state } }, expiresAt)
    },

    /** Ends a session; the answer is the Set-Cookie header that takes the cookie back. */
    async end(session: WebSession): Promise<string> {
      if (!session.isInCookie) await deleteSession(db.kysely, sha256(session.id))
      return cookie.clear()
    },

    /** Whether a form came from a page of this session (`csrfToken`). */
    csrfMatches(session: Pick<WebSession, 'csrfToken'>, given: unknown): boolean {
      return typeof given === 'string' && timingSafeEqual(sha256(given), sha256(session.csrfToken))
    },

    /** Remembers that the browser is sent to a provider, in its cookie if that holds the session; undefined when it has ended. */
    async setPending(
      session: WebSession,
      pending: PendingSignIn,
    ): Promise<{ setCookie?: string } | undefined> {
      const kept = inCookies.keptOf(session)
      if (kept === undefined)
        return stored.change(session.id, (before) => ({ kept: { ...before, pending }, value: {} }))
      return { setCookie: setCookie(inCookies.seal(session, { ...kept, pending }), session) }
    },

    /** Takes what was remembered for this `state`, once (a cookie: until it is replaced); another one stays. */
    async takePending(session: WebSession, state: string | null): Promise<PendingSignIn | undefined> {
      const held = inCookies.keptOf(session)?.pending
      if (session.isInCookie) return held?.state === state ? held : undefined
      return stored.change(session.id, ({ pending, ...kept }) =>
        pending?.state === state
          ? { kept, value: pending }
          : { kept: { ...kept, ...(pending && { pending }) }, value: undefined },
      )
    },

    /** Deletes those that have ended. */
    expire: (): Promise<void> => deleteExpiredSessions(db.kysely, clock.now()),
  }
}
