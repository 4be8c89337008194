import { sha256 } from '../../../kernel/ids.ts'

/** How far a browser has come; kept, sealed, in its web session. */
export interface Journey extends Record<string, unknown> {
  way: 'ade_web' | 'page'
  /** Null until somebody tries to sign in at the page. */
  attempt_id: string | null
  /** The device that the web view belongs to; null on the page, where it is not known yet. */
  device: { serial: string; udid: string } | null
  /** Where the person signs in; null = local accounts. */
  source_id: string | null
  /** The browser that began, in a form that can be compared. */
  browser: string
  /** Who has signed in and may have the device. */
  user: { id: string; name: string } | null
  /** A right password that must be replaced. */
  change: { user_name: string; password: string; has_expired: boolean } | null
}

/** A journey that begins: nobody has signed in. */
export function newJourney(
  start: Pick<Journey, 'way' | 'source_id' | 'browser'> & Partial<Pick<Journey, 'attempt_id' | 'device'>>,
): Journey {
  return { attempt_id: null, device: null, user: null, change: null, ...start }
}

/** The journey that a session holds; undefined when it is about something else. */
export function journeyIn(state: Record<string, unknown>): Journey | undefined {
  return state['way'] === 'ade_web' || state['way'] === 'page' ? (state as Journey) : undefined
}

/** A browser as it can be told from another. Its address is no part of it: phones change networks. */
export function browserOf(userAgent: string | undefined): string {
  return sha256(userAgent ?? '').toString('base64url')
}
