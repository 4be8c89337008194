import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { VARIABLES } from '../../src/config/env.ts'

const readme = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8')

test('README tells every setting by its whole name, and none that there is not', () => {
  const told = new Set(readme.match(/\bFIRSTBOOT_(?!TEST_)[A-Z_]+\b/g))
  expect(VARIABLES.filter((name) => !told.has(name))).toEqual([])
  const known: readonly string[] = [...VARIABLES, 'FIRSTBOOT_URL', 'FIRSTBOOT_TOKEN']
  expect([...told].filter((name) => !known.includes(name))).toEqual([])
})
