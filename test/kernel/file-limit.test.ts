import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openFileLimit } from '../../src/kernel/file-limit.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

test.each([
  [
    'Limit  Soft Limit  Hard Limit  Units\nMax cpu time unlimited unlimited\nMax open files            4096  1048576  files\n',
    4096,
  ],
  ['Max open files            unlimited  unlimited  files\n', Number.MAX_SAFE_INTEGER],
  ['nothing of it\n', 1024],
])('the soft limit of %j is %i', (text, limit) => {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const file = join(folder.path, 'limits')
  writeFileSync(file, text)
  expect(openFileLimit(file)).toBe(limit)
})

test('where the system tells nothing it is what most systems have', () => {
  expect(openFileLimit('/nowhere/limits')).toBe(1024)
  expect(openFileLimit()).toBeGreaterThan(0)
})
