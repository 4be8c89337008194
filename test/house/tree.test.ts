import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { expect, test } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** What may lie at the top of the repository: folders and papers, and files that tools look for there and nowhere else. */
const TOP = [
  ...['src', 'migrations', 'test', 'bench', 'docs', 'certs.example', '.ci'],
  ...['README.md', 'CHANGELOG.md', 'LICENSE', 'Dockerfile', '.dockerignore', '.gitignore'],
  ...['package.json', 'package-lock.json', '.npmrc'],
  ...['tsconfig.json', 'tsconfig.build.json', 'vitest.config.ts'],
  ...['.oxlintrc.json', '.prettierrc.json', '.prettierignore'],
]

test('nothing lies at the top of the repository that does not belong there', () => {
  const files = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n')
  const top = new Set(files.map((file) => file.split('/')[0] ?? ''))
  expect([...top].filter((name) => !TOP.includes(name))).toEqual([])
})
