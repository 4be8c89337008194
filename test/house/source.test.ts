import { expect, test } from 'vitest'
import { scan } from './source.ts'

const TEXT = `import { readFile } from 'node:fs/promises' // from 'a comment'
import type {
  A,
  B,
} from './types.ts'
import './effects.ts'
import * as everything from '../everything.ts'
/* import { no } from 'no' */
export { one, type Two, three as four } from './list.ts'
export * from './star.ts'
export type { Five } from './five.ts'
const text = 'import { no } from "no" // kept'
const pattern = /'\\/[/'] from/.test(text) // gone
const template = \`// kept \`
const lazy = await import('./lazy.ts')
export async function six(): Promise<void> {}
export const seven = 7, eight = 8 /* gone */
export type Nine = typeof seven
export class Ten {}
`

test('imports are found in every form, and not in comments or strings', () => {
  expect(scan('x.ts', TEXT).imports.toSorted()).toEqual(
    [
      ...[
        '../everything.ts',
        './effects.ts',
        './five.ts',
        './lazy.ts',
        './list.ts',
        './star.ts',
        './types.ts',
      ],
      'node:fs/promises',
    ].toSorted(),
  )
})

test('exports are found, with what they are handed on from', () => {
  const names = (from: string | null) =>
    scan('x.ts', TEXT)
      .exports.filter((each) => each.from === from)
      .map(({ name }) => name)
  expect(names(null)).toEqual(['six', 'seven', 'Nine', 'Ten'])
  expect(names('./list.ts')).toEqual(['one', 'Two', 'four'])
  expect(names('./five.ts')).toEqual(['Five'])
})

test('comments are gone, what looks like one stays', () => {
  const { code, lines } = scan('x.ts', TEXT)
  expect(lines).toBe(19)
  expect(code).not.toMatch(/a comment|gone/)
  expect(code).toContain('"no" // kept')
  expect(code).toContain('`// kept ')
})
