import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { administer } from '../support/postgres.ts'

test('a throw-away PostgreSQL is durable when asked, and ends with the process that started it, however that ends', async () => {
  const owner = fork(new URL('postgres-owner.ts', import.meta.url), { execArgv: [] })
  onTestFinished(() => void owner.kill('SIGKILL'))
  const [{ url, fsync, folder }] = (await once(owner, 'message')) as [
    { url: string; fsync: string; folder: string },
  ]
  expect(fsync).toBe('on')
  expect(existsSync(folder)).toBe(true)
  await administer(url, 'select 1')

  owner.kill('SIGKILL')
  const deadline = Date.now() + 240_000
  while (existsSync(folder) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  expect(existsSync(folder)).toBe(false)
  await expect(administer(url, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
