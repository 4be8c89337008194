import { checkSync } from 'recheck'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import {
  type FoundExpression,
  regularExpressionsIn,
  regularExpressionsInProduct,
} from './regular-expressions.ts'

/** The checker's part in JavaScript, which is exact where it answers `safe`: an automaton, not trials. */
beforeAll(() => {
  vi.stubEnv('RECHECK_BACKEND', 'pure')
  vi.stubEnv('RECHECK_SYNC_BACKEND', 'pure')
})

/** Some seconds for the slowest; a machine with much else to do takes minutes. */
const PATIENCE_MS = 20 * 60_000

/** What speaks against an expression; undefined for one that takes a time in proportion to what it looks at. */
function problemOf({ source, flags }: FoundExpression): string | undefined {
  if (source === null) return 'is no constant'
  const result = checkSync(source, flags, { checker: 'automaton', timeout: null })
  if (result.status === 'safe') return undefined
  return result.status === 'vulnerable' ? result.complexity.summary : result.error.kind
}

const inText = (text: string) =>
  regularExpressionsIn([{ file: 'x.ts', text }]).map((found) => [found.source, problemOf(found)])

describe('the check', () => {
  test.each([
    ['exponential', String.raw`const a = /^\s*\w+(;[^;]*=[^;]*)*;?\s*$/`],
    ['exponential', String.raw`const a: RegExp = new RegExp('^(a|a)*$')`],
    ['2nd degree polynomial', String.raw`text.replace(/\/+$/, '')`],
    ['2nd degree polynomial', String.raw`const schema = Type.String({ pattern: '^a*a*$' })`],
    ['2nd degree polynomial', 'const SPACE = String.raw`\\s+$`; RegExp(SPACE).test(text)'],
    ['unsupported', String.raw`/^(?=a*)b*$/.test(text)`],
    ['2nd degree polynomial', 'const A = String.raw`\\s`; const B = String.raw`${A}+$`; RegExp(B)'],
    ['is no constant', 'new RegExp(`^${text}$`)'],
    ['is no constant', 'new RegExp(text)'],
  ])('finds one that is %s', (problem, text) => {
    expect(inText(text).map(([, found]) => found)).toEqual([problem])
  })

  test('knows an expression wherever it stands, and a division', () => {
    const text =
      'const a = { b: [`${/x/u.exec(c)}`] }; const d = e / f / g // /y/\nconst r = new RegExp(/z/, "g")'
    expect(inText(text)).toEqual([
      ['x', undefined],
      ['z', undefined],
    ])
  })
})

const found = Map.groupBy(regularExpressionsInProduct(), ({ at }) => at.split(':')[0] ?? '')

test('there are many in the product', () => {
  expect(found.size).toBeGreaterThan(50)
})

test.each([...found])(
  'every regular expression of %s is proved to be linear',
  (_, expressions) => {
    const problems = expressions.map((each) => ({ ...each, problem: problemOf(each) }))
    expect(problems.filter(({ problem }) => problem !== undefined)).toEqual([])
  },
  PATIENCE_MS,
)
