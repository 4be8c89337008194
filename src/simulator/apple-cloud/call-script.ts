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

/** Answers to come, by path or for all (`*`). */
export type CallScript = ReturnType<typeof createCallScript>

/** An empty script: everything is answered right. */
export function createCallScript() {
  const waiting = new Map<string, ScriptedCall[]>()
  let forAll: ScriptedCall | null = null
  return {
    add: (path: string, answers: readonly ScriptedCall[]) =>
      void waiting.set(path, [...(waiting.get(path) ?? []), ...answers]),
    all: (answer: ScriptedCall | null) => void (forAll = answer),
    next: (path: string): ScriptedCall =>
      forAll ?? waiting.get(path)?.shift() ?? waiting.get('*')?.shift() ?? 'right',
  }
}
