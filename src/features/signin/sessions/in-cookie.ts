import type { Clock } from '../../../kernel/clock.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { type Kept, toSession, type WebSession } from './session.ts'

/** What a cookie holds of a browser that has proved nothing yet. */
type Held = { id: string; kept: Kept; expires_at: string }

/** How the value of a cookie begins that holds a session. */
const IN_COOKIE = 's.'
const CONTEXT = 'web_session:cookie'

/** Whether a cookie of this value holds its session. */
export function holdsSession(value: string): boolean {
  return value.startsWith(IN_COOKIE)
}

/** Sessions that are in the cookie of their browser alone, sealed: nobody else can make or read one. */
export function createSessionsInCookies({ clock, secretBox }: { clock: Clock; secretBox: SecretBox }) {
  /** What came in cookies, as long as the session is in use. */
  const known = new WeakMap<WebSession, Kept>()

  function toKnown({ id, kept, expires_at }: Held): WebSession {
    const session = toSession(id, kept, new Date(expires_at), true)
    known.set(session, kept)
    return session
  }

  return {
    /** What is kept of a session; undefined when it is in no cookie. */
    keptOf: (session: WebSession): Kept | undefined => known.get(session),

    /** A new session. */
    begin: (id: string, kept: Kept, expiresAt: Date): WebSession =>
      toKnown({ id, kept, expires_at: expiresAt.toISOString() }),

    /** The session that a cookie holds; undefined when it is not of our making, or has ended. */
    open(value: string): WebSession | undefined {
      try {
        const sealed = Buffer.from(value.slice(IN_COOKIE.length), 'base64url')
        const held = JSON.parse(secretBox.open(sealed, CONTEXT).toString()) as Held
        return new Date(held.expires_at) > clock.now() ? toKnown(held) : undefined
      } catch {
        return undefined
      }
    },

    /** The value of the cookie that holds this of a session. */
    seal({ id, expiresAt }: WebSession, kept: Kept): string {
      const held: Held = { id, kept, expires_at: expiresAt.toISOString() }
      return `${IN_COOKIE}${secretBox.seal(Buffer.from(JSON.stringify(held)), CONTEXT).toString('base64url')}`
    },
  }
}
