import { timingSafeEqual } from 'node:crypto'
import { type Db, resealColumn } from '../../../db/index.ts'
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
  SEALED_STATES,
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
}

type Kept = { state: SessionState; pending?: PendingSignIn }

/** Web sessions, seen by all processes. */
export type Sessions = ReturnType<typeof createSessions>

/** Makes the web sessions. They live for 30 minutes from their opening, in the database: sealed, and the id hashed. */
export function createSessions(deps: { db: Db; clock: Clock; secretBox: SecretBox; publicUrl: string }) {
  const { db, clock, secretBox } = deps
  const cookie = createSessionCookie(deps.publicUrl)

  function seal(idHash: Buffer, kept: Kept): Buffer {
    return secretBox.seal(Buffer.from(JSON.stringify(kept)), contextOf(idHash))
  }

  function unseal(row: { id_hash: Buffer; state: Buffer }): Kept {
    return JSON.parse(secretBox.open(row.state, contextOf(row.id_hash)).toString()) as Kept
  }

  /** Opens one that holds `kept` and says how to set its cookie. */
  async function start(kept: Kept, expiresAt: Date): Promise<{ session: WebSession; setCookie: string }> {
    const now = clock.now()
    const id = newSecret()
    const idHash = sha256(id)
    await insertSession(db.kysely, {
      id_hash: idHash,
      state: seal(idHash, kept),
      expires_at: expiresAt,
      created_at: now,
    })
    const seconds = Math.max(0, Math.floor((expiresAt.getTime() - now.getTime()) / 1000))
    return { session: toSession(id, kept, expiresAt), setCookie: cookie.set(id, seconds) }
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

    /** The session of a request by its Cookie header; undefined when there is none or it has ended. */
    async find(cookieHeader: string | undefined): Promise<WebSession | undefined> {
      for (const id of cookie.read(cookieHeader).slice(0, MAX_COOKIES)) {
        const row = await findSession(db.kysely, sha256(id), clock.now())
        if (row !== undefined) return toSession(id, unseal(row), row.expires_at)
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
     * The same session under a new id, for the moment someone has signed in: whoever had planted the old cookie is left
     * with nothing. Undefined when it has ended.
     */
    async renew(session: WebSession): Promise<{ session: WebSession; setCookie: string } | undefined> {
      const row = await findSession(db.kysely, sha256(session.id), clock.now())
      if (row === undefined) return undefined
      await deleteSession(db.kysely, row.id_hash)
      return start(unseal(row), row.expires_at)
    },

    /** Seals sessions anew that are sealed with the previous secret key; gives their number. */
    reseal: (): Promise<number> =>
      resealColumn(db, secretBox, {
        ...SEALED_STATES,
        context: (row: { id_hash: Buffer }) => contextOf(row.id_hash),
      }),

    /** Ends a session; the answer is the Set-Cookie header that takes the cookie back. */
    async end(session: Pick<WebSession, 'id'>): Promise<string> {
      await deleteSession(db.kysely, sha256(session.id))
      return cookie.clear()
    },

    /** Whether a form came from a page of this session (`csrfToken`). */
    csrfMatches(session: Pick<WebSession, 'csrfToken'>, given: unknown): boolean {
      return typeof given === 'string' && timingSafeEqual(sha256(given), sha256(session.csrfToken))
    },

    /** Remembers that the browser is sent to a provider; false when the session has ended. */
    async setPending(session: Pick<WebSession, 'id'>, pending: PendingSignIn): Promise<boolean> {
      const changed = await change(session, (kept) => ({ kept: { ...kept, pending }, value: true }))
      return changed?.value ?? false
    },

    /** Takes what was remembered for this `state`, once; another one stays. */
    async takePending(
      session: Pick<WebSession, 'id'>,
      state: string | null,
    ): Promise<PendingSignIn | undefined> {
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
function toSession(id: string, { state }: Kept, expiresAt: Date): WebSession {
  return { id, state, csrfToken: sha256(`csrf:${id}`).toString('base64url'), expiresAt }
}

function contextOf(idHash: Buffer): string {
  return `web_session:${idHash.toString('hex')}`
}
