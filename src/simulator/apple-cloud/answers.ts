/** What a call is answered with: JSON, or an error word. */
export type AdeAnswer =
  { status: 200; json: Record<string, unknown> } | { status: number; code: string; retryAfter?: number }

/** How Apple writes an error word: alone, in double quotes (its simulator), or in a JSON object. */
export type ErrorShape = 'bare' | 'quoted' | 'json'

/** An error word as body, with its content type. */
export function writeError(code: string, shape: ErrorShape): { type: string; body: string } {
  if (shape === 'bare') return { type: 'text/plain;charset=UTF-8', body: code }
  const value = shape === 'quoted' ? code : { code }
  return { type: 'application/json;charset=UTF-8', body: JSON.stringify(value) }
}

/** An error. */
export function refused(status: number, code: string): AdeAnswer {
  return { status, code }
}

/** Something other than the right answer to a call. */
export type ScriptedCall =
  /** That status with an error word; `retryAfter` in seconds. */
  | { status: number; code?: string; retryAfter?: number }
  /** That body (200, unless said otherwise), and nothing is done. */
  | { raw: string; answerStatus?: number; headers?: Record<string, string> }
  /** The right answer with something about it changed. */
  | { edit: (json: Record<string, unknown>) => unknown }
  /** 200 with a page of a proxy. */
  | 'html'
  /** 200 with the first half of the right answer. */
  | 'half'
  /** The connection is cut before anything is done. */
  | 'reset'
  /** It is done, and the connection is cut instead of the answer. */
  | 'lost'
  /** The right answer, that many milliseconds later. */
  | { delayMs: number }
  /** The right answer of the moment, when `release()` is called. */
  | 'hold'
  /** Of a page: no records, more to follow. */
  | 'empty_page'
  /** Of a page: the cursor that it was asked with, more to follow. */
  | 'same_cursor'
  /** Of a page: every record twice; the newest first. */
  | 'doubled'
  | 'reordered'
  /** As it should be; for the calls before the one that is meant. */
  | 'right'

/** Calls for {@link ScriptedCall} by what they mean. */
export const adeTroubles = {
  throttled: (retryAfter: number): ScriptedCall => ({ status: 429, code: 'TOO_MANY_REQUESTS', retryAfter }),
  unavailable: (retryAfter?: number): ScriptedCall => ({
    status: 503,
    code: 'SERVICE_UNAVAILABLE',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }),
  sessionLost: { status: 403, code: 'FORBIDDEN' },
  sessionExpired: { status: 401, code: 'EXPIRED_TOKEN' },
  termsNotSigned: { status: 403, code: 'T_C_NOT_SIGNED' },
  accessDenied: { status: 403, code: 'ACCESS_DENIED' },
  tokenRejected: { status: 401, code: 'token_rejected' },
} as const

/** Answers to come, by path or for all (`*`). */
export interface CallScript {
  add(path: string, answers: readonly ScriptedCall[]): void
  all(answer: ScriptedCall | null): void
  next(path: string): ScriptedCall
}

/** An empty script: everything is answered right. */
export function createCallScript(): CallScript {
  const waiting = new Map<string, ScriptedCall[]>()
  let forAll: ScriptedCall | null = null
  return {
    add: (path, answers) => void waiting.set(path, [...(waiting.get(path) ?? []), ...answers]),
    all: (answer) => void (forAll = answer),
    next: (path) => forAll ?? waiting.get(path)?.shift() ?? waiting.get('*')?.shift() ?? 'right',
  }
}
