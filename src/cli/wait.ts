import { setTimeout as pause } from 'node:timers/promises'
import type { ApiClient } from './client.ts'
import type { Input, Verb } from './verb.ts'

const EVERY_MS = 1_000

/**
 * Asks again and again until what a verb has started is over, or its time is up; gives the newest answer and whether all
 * went well.
 */
export async function waitFor(
  verb: Verb,
  started: { input: Input; answer: unknown },
  deps: { api: ApiClient; forMs: number; signal: AbortSignal; everyMs?: number },
): Promise<{ answer: unknown; ok: boolean }> {
  const { api, forMs, signal, everyMs = EVERY_MS } = deps
  const until = performance.now() + forMs
  for (;;) {
    const { outcome, answer } = (await verb.progress?.(started, api)) ?? {
      outcome: 'ok',
      answer: started.answer,
    }
    if (outcome !== 'running') return { answer, ok: outcome === 'ok' }
    if (signal.aborted || performance.now() >= until) return { answer, ok: false }
    await pause(everyMs, undefined, { signal }).catch(() => undefined)
  }
}
