import { timingSafeEqual } from 'node:crypto'
import type { Db } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import { newSecret, sha256 } from '../../../kernel/ids.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { createSessionCookie } from './cookie.ts'
import {
  deleteSession,
  deleteExpiredSessions,
  findSession,
  insertSession,
  lockSession,
  writeState,
} from './store.ts'

const LIFE_MINUTES = 30
/** Cookies in one header that are looked up. */
const MAX_COOKIES = 3

/** What the pages remember of a browser: any JSON object. */
type SessionState = Record<string, unknown>

/** A sign-in at an OpenID provider that the browser was sent to. */
export type PendingSignIn = {
  sourceId: string
  state: string
  nonce: string
  codeVerifier: string
  returnTo: string
}

/** A browser on its way through a sign-in. `id` is a secret that the browser's cookie alone holds: it is never logged. */
export interface WebSession {
  readonly id: string
  readonly state: SessionState
  /** What every form of this session carries. */
  readonly csrfToken: string
  readonly expiresAt: Date
  /** Whether all of it is in the browser's cookie, and nothing here. */
  readonly isInCookie: boolean
}

type Kept = { state: SessionState; pending?: PendingSignIn }
/** What a cookie holds of a browser that has proved nothing yet. */
type Cookie = { id: string; kept: Kept; expires_at: string }

/** How the value of a cookie begins that holds a session. */
const IN_COOKIE = 's.'
const COOKIE_CONTEXT = 'web_session:cookie'

/** Web sessions, seen by all processes. */
export type Sessions = ReturnType<typeof createSessions>

/**
 * Makes the web sessions. They live for 30 minutes from their opening: in the database, sealed and the id hashed, once
 * something was proved; until then in the cookie, sealed as well, so that strangers write nothing.
 */
export function createSessions(deps: { db: Db; clock: Clock; secretBox: SecretBox; publicUrl: string }) {
  const { db, clock, secretBox } = deps
  const cookie = createSessionCookie(deps.publicUrl)
  /** What came in cookies, as long as the session is in use. */
  const inCookies = new WeakMap<WebSession, Kept>()

  function seal(idHash: Buffer, kept: Kept): Buffer {
    return secretBox.seal(Buffer.from(JSON.stringify(kept)), SEALED_FOR.webSession(idHash))
  }

  function unseal(row: { id_hash: Buffer; state: Buffer }): Kept {
    return JSON.parse(secretBox.open(row.state, SEALED_FOR.webSession(row.id_hash)).toString()) as Kept
  }

  function secondsUntil(expiresAt: Date): number {
    return Math.max(0, Math.floor((expiresAt.getTime() - clock.now().getTime()) / 1000))
  }

  function fromCookie({ id, kept, expires_at }: Cookie): WebSession {
    const session = toSession(id, kept, new Date(expires_at), true)
    inCookies.set(session, kept)
    return session
  }

  /** The session that a cookie holds; undefined when it is not of our making, or has ended. */
  function openCookie(value: string): WebSession | undefined {
    let opened: Cookie
    try {
      const sealed = Buffer.from(value.slice(IN_COOKIE.length), 'base64url')
      opened = JSON.parse(secretBox.open(sealed, COOKIE_CONTEXT).toString()) as Cookie
    } catch {
      return undefined
    }
    return new Date(opened.expires_at) > clock.now() ? fromCookie(opened) : undefined
  }

  function sealCookie(held: Cookie): string {
    const sealed = secretBox.seal(Buffer.from(JSON.stringify(held)), COOKIE_CONTEXT)
    const value = `${IN_COOKIE}${sealed.toString('base64url')}`
    return cookie.set(value, secondsUntil(new Date(held.expires_at)))
  }

  /** Opens one that holds `kept` and says how to set its cookie. */
  async function start(kept: Kept, expiresAt: Date): Promise<{ session: WebSession; setCookie: string }> {
    const id = newSecret()
    const idHash = sha256(id)
    await insertSession(db.kysely, {
      id_hash: idHash,
      state: seal(idHash, kept),
      expires_at: expiresAt,
      created_at: clock.now(),
    })
    return { session: toSession(id, kept, expiresAt), setCookie: cookie.set(id, secondsUntil(expiresAt)) }
  }

  async function findStored(id: string): Promise<WebSession | undefined> {
    const row = await findSession(db.kysely, sha256(id), clock.now())
    return row && toSession(id, unseal(row), row.expires_at)
  }

  /** Changes what is kept, as one step among all requests of the session; undefined when it has ended. */
  async function change<T>(
    { id }: Pick<WebSession, 'id'>,
    edit: (kept: Kept) => { kept: Kept; value: T },
  ): Promise<{ session: WebSession; value: T } | undefined> {
    const idHash = sha256(id)
    return db.transaction(async (trx) => {
      const row = await lockSession(trx, idHash, clock.now())
      if (row === undefined) return undefined
      const { kept, value } = edit(unseal(row))
      await writeState(trx, idHash, seal(idHash, kept))
      return { session: toSession(id, kept, row.expires_at), value }
    })
  }

  return {
    /** Opens a session; `setCookie` goes into the answer's Set-Cookie header. */
    open: (state: SessionState = {}) => start({ state }, addTime(clock.now(), LIFE_MINUTES, 'minute')),

    /** Begins one for a browser that has proved nothing: it is in the cookie alone. */
    begin(state: SessionState): { session: WebSession; setCookie: string } {
      const expires_at = addTime(clock.now(), LIFE_MINUTES, 'minute').toISOString()
      const held = { id: newSecret(), kept: { state }, expires_at }
      return { session: fromCookie(held), setCookie: sealCookie(held) }
    },

    /** The session of a request by its Cookie header; undefined when there is none or it has ended. */
    async find(cookieHeader: string | undefined): Promise<WebSession | undefined> {
      for (const value of cookie.read(cookieHeader).slice(0, MAX_COOKIES)) {
        const session = value.startsWith(IN_COOKIE) ? openCookie(value) : await findStored(value)
        if (session !== undefined) return session
      }
      return undefined
    },

    /** Changes the state from what it is at that moment; undefined when the session has ended. */
    async update(
      session: Pick<WebSession, 'id'>,
      edit: (state: SessionState) => SessionState,
    ): Promise<WebSession | undefined> {
      const changed = await change(session, (kept) => ({
        kept: { ...kept, state: edit(kept.state) },
        value: undefined,
      }))
      return changed?.session
    },

    /**
     * The same session with a changed state under a new id, kept here from now on, for the moment in which something was
     * proved: whoever had planted the old cookie is left with nothing. Undefined when it has ended.
     */
    async renew(
      session: WebSession,
      state: SessionState = {},
    ): Promise<{ session: WebSession; setCookie: string } | undefined> {
      const before = inCookies.get(session)
      if (before !== undefined) return start({ state: { ...before.state, ...state } }, session.expiresAt)
      const row = await findSession(db.kysely, sha256(session.id), clock.now())
      if (row === undefined) return undefined
      await deleteSession(db.kysely, row.id_hash)
      const kept = unseal(row)
      return start({ ...kept, state: { ...kept.state, ...state } }, row.expires_at)
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
      const inCookie = inCookies.get(session)
      if (inCookie !== undefined) {
        const { id, expiresAt } = session
        const held = { id, kept: { ...inCookie, pending }, expires_at: expiresAt.toISOString() }
        return { setCookie: sealCookie(held) }
      }
      return (await change(session, (kept) => ({ kept: { ...kept, pending }, value: {} })))?.value
    },

    /** Takes what was remembered for this `state`, once (a cookie: until it is replaced); another one stays. */
    async takePending(session: WebSession, state: string | null): Promise<PendingSignIn | undefined> {
      const held = inCookies.get(session)?.pending
      if (session.isInCookie) return held?.state === state ? held : undefined
      const changed = await change(session, ({ pending, ...kept }) =>
        pending?.state === state
          ? { kept, value: pending }
          : { kept: { ...kept, ...(pending && { pending }) }, value: undefined },
      )
      return changed?.value
    },

    /** Deletes those that have ended. */
    expire: (): Promise<void> => deleteExpiredSessions(db.kysely, clock.now()),
  }
}

/** The token is a hash of the id, which a page of another site cannot know. */
function toSession(id: string, { state }: Kept, expiresAt: Date, isInCookie = false): WebSession {
  return { id, state, csrfToken: sha256(`csrf:${id}`).toString('base64url'), expiresAt, isInCookie }
}
