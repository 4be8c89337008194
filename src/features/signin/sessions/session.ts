import { sha256 } from '../../../kernel/ids.ts'

/** What the pages remember of a browser: any JSON object. */
export type SessionState = Record<string, unknown>

/** A sign-in at an OpenID provider that the browser was sent to. */
export type PendingSignIn = { sourceId: string; state: string; nonce: string; codeVerifier: string }

/** All that is kept of a session. */
export type Kept = { state: SessionState; pending?: PendingSignIn }

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

/** The session of what is kept. Its token is a hash of the id, which a page of another site cannot know. */
export function toSession(id: string, { state }: Kept, expiresAt: Date, isInCookie: boolean): WebSession {
  return { id, state, csrfToken: sha256(`csrf:${id}`).toString('base64url'), expiresAt, isInCookie }
}
