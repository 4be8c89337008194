import fc from 'fast-check'
import { expect, test } from 'vitest'
import { patched, problemsOf, tidy } from '../../../src/features/enrollment-policies/document.ts'
import { renderAdeProfile } from '../../../src/features/enrollment-policies/index.ts'

const FIELDS = Object.keys(tidy(patched(undefined, { name: 'a' })).ade)
const CONTEXT = { url: 'https://a/', webUrl: 'https://b/', orgMagic: 'c' }

const near = fc.oneof(
  ...[
    fc.constantFrom<unknown>(
      true,
      false,
      null,
      '',
      'allow',
      'disallow',
      'require_certificate',
      'web',
      'prompt',
    ),
  ],
  ...[fc.integer({ min: -2, max: 2000 }), fc.string({ maxLength: 300, unit: 'binary' })],
  ...[fc.array(fc.string({ maxLength: 70 }), { maxLength: 12 }), fc.jsonValue({ maxDepth: 2 })],
)
const documents = fc.record({
  name: fc.oneof(fc.constant('Sales'), near),
  user_affinity: fc.oneof(fc.constant('prompt'), near),
  ade: fc.oneof(
    { weight: 9, arbitrary: fc.dictionary(fc.constantFrom(...FIELDS), near, { maxKeys: 3 }) },
    { weight: 1, arbitrary: near },
  ),
})

test('any document is either refused by name or renders within the limits of Apple', () => {
  let rendered = 0
  fc.assert(
    fc.property(documents, (given) => {
      const document = patched(undefined, given)
      const problems = problemsOf(document)
      for (const { path, message } of problems)
        expect([path, message].every((text) => text !== '')).toBe(true)
      if (problems.length > 0) return
      rendered += 1
      const kept = tidy(document)
      expect(problemsOf(kept)).toEqual([])
      expect(tidy(patched(kept, {}))).toEqual(kept)
      const { profile } = renderAdeProfile(kept, CONTEXT)
      for (const [key, max] of [
        ['profile_name', 125] as const,
        ['department', 125] as const,
        ['support_phone_number', 50] as const,
        ['support_email_address', 250] as const,
      ]) {
        const text = profile[key]
        expect(text === undefined || (text.length > 0 && text.length <= max)).toBe(true)
      }
      expect(profile.is_mdm_removable || profile.is_supervised).toBe(true)
    }),
    { numRuns: 2000 },
  )
  expect(rendered).toBeGreaterThan(50)
})

// What took the square of their number would not end before the test does.
test('a document of very many unknown fields is refused', () => {
  const many = Object.fromEntries(Array.from({ length: 300_000 }, (_, index) => [`field${index}`, index]))
  expect(problemsOf(patched(undefined, { name: 'a', ...many }))).toHaveLength(300_000)
})
