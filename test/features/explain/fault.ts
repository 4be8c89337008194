import { expect } from 'vitest'
import type { TestApp } from '../../support/app.ts'

/** Something that goes wrong, and how that is explained. */
export interface Fault {
  /** What is wrong. */
  fault: string
  /** Makes it so; gives what is asked for. */
  inject: () => Promise<string>
  kind: string
  reason: string
  /** What the next step says. */
  next: RegExp
  /** What the sentence says, where that is more than the meaning of the reason. */
  says?: RegExp
  /** Puts right what others would suffer from. */
  mend?: () => Promise<unknown>
}

/** The first answer that is given to a question. */
export async function explained(world: Pick<TestApp, 'api'>, q: string) {
  const { status, body } = await world.api('GET', `/explain?q=${encodeURIComponent(q)}`)
  expect([status, body.code]).toEqual([200, undefined])
  return body.matches as {
    kind: string
    id: string
    title: string
    sentence: string
    reason: string
    next_step: string
    since: string | null
  }[]
}

/** That a fault is explained rightly: the reason, what to do, each in one sentence. */
export async function expectExplained(world: Pick<TestApp, 'api'>, fault: Fault): Promise<void> {
  const q = await fault.inject()
  const [match] = await explained(world, q)
  await fault.mend?.()
  expect(match).toMatchObject({ kind: fault.kind, reason: fault.reason })
  expect(match?.next_step).toMatch(fault.next)
  if (fault.says !== undefined) expect(match?.sentence).toMatch(fault.says)
  for (const text of [match?.sentence, match?.next_step]) {
    expect(text).toMatch(/^[\p{L}\p{N}].*[^.]\.$/u)
    expect(text).not.toMatch(/[.!?] \p{Lu}/u)
  }
}
