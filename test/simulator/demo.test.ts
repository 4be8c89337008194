import { expect, test } from 'vitest'
import type { Played } from '../../src/simulator/demo/telling/director.ts'
import type { DemoReason } from '../../src/simulator/demo/world/reasons.ts'
import { createStyle } from '../../src/simulator/demo/telling/style.ts'
import { summarize } from '../../src/simulator/demo/telling/summary.ts'
import { ACTS } from '../../src/simulator/demo/acts/index.ts'
import { describeTry, outcomesOf } from '../../src/simulator/demo/telling/telling.ts'
import type { Try } from '../../src/simulator/demo/telling/telling.ts'

const plain = createStyle(false)

/** The acts as if all went as it has to. */
const played: Played[] = ACTS.map((act) => ({
  act,
  outcomes: act.expected,
  tries: [],
  delivered: act.phone === 2 ? ['profile Wi-Fi', 'app Till'] : [],
  isAsExpected: true,
}))
const rollout = { failed: [1, 2], halted: '2 of 2 phones of ring one failed', isRolledBack: true }

const found = (reason: DemoReason): Try['findings'][number] => ({
  ...{ reason, text: 'Why.', detail: 'count 1, limit 1', attemptId: 'a' },
})

test('there are 25 phones, and every reason is expected of one of them', () => {
  const phones = new Set(ACTS.map(({ phone }) => phone))
  expect([...phones].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1))
  expect(summarize(played, rollout, plain)).toMatchObject({ isComplete: true })
})

test('the table shows what did not happen', () => {
  const without = played.filter(({ act }) => act.phone !== 8)
  const { text, isComplete } = summarize(without, rollout, plain)
  expect(isComplete).toBe(false)
  expect(text).toMatch(/^✗ mfa_required .* did not happen$/m)
  expect(text.match(/^✗/gm)).toHaveLength(1)
})

test('the table shows what groups did not deliver, and a rollout that did not halt', () => {
  const empty = played.map((each) => ({ ...each, delivered: [] }))
  const { text, isComplete } = summarize(empty, undefined, plain)
  expect(isComplete).toBe(false)
  for (const outcome of ['delivered', 'rollout_halted', 'rolled_back'])
    expect(text).toMatch(new RegExp(`^✗ ${outcome} .* did not happen$`, 'm'))
})

test('a try is told with the screen and the reason; the empty form alone is no news', () => {
  const made: Try = {
    doing: 'powered on',
    screen: 'Home Screen',
    isEnrolled: true,
    findings: [found('sign_in_required'), found('invalid_credentials')],
  }
  expect(outcomesOf([made])).toEqual(['sign_in_required', 'invalid_credentials', 'enrolled'])
  expect(describeTry(made, plain)).toBe(
    [
      '    tries   powered on',
      '    phone   Home Screen',
      '    admin   invalid_credentials  Why.',
      '            count 1, limit 1',
      '    admin   enrolled',
      '',
    ].join('\n'),
  )
  const alone = { ...made, isEnrolled: false, findings: [found('sign_in_required')] }
  expect(describeTry(alone, plain)).toContain('sign_in_required')
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is looked for
  expect(describeTry(made, createStyle(true))).toMatch(/\u001b\[32menrolled/)
})
