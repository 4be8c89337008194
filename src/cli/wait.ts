import { setTimeout as pause } from 'node:timers/promises'
import type { ApiClient } from './client.ts'
import type { Reporter } from './reporter.ts'
import type { Input, Verb } from './verb.ts'

const EVERY_MS = 1_000

/**
 * Asks again and again until what a verb has started is over, or its time is up; gives the newest answer and whether all
 * went well.
 */
export async function waitFor(
  verb: Verb,
  started: { input: Input; answer: unknown },
  deps: { api: ApiClient; reporter: Reporter; forMs: number; signal: AbortSignal; everyMs?: number },
): Promise<{ answer: unknown; ok: boolean }> {
  const { api, reporter, forMs, signal, everyMs = EVERY_MS } = deps
  const begun = performance.now()
  for (;;) {
    const { outcome, answer } = (await verb.progress?.(started, api)) ?? {
      outcome: 'ok',
      answer: started.answer,
    }
    const waited = performance.now() - begun
    const isOver = outcome !== 'running' || signal.aborted || waited >= forMs
    if (isOver) {
      reporter.end()
      return { answer, ok: outcome === 'ok' }
    }
    reporter.tell(`waiting, ${Math.round(waited / 1000)} s so far`)
    await pause(everyMs, undefined, { signal }).catch(() => undefined)
  }
}
