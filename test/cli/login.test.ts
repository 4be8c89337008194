import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()
let home = ''
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'login-'))
})
afterEach(() => rm(home, { recursive: true }))

const file = () => path.join(home, '.config', 'firstboot', 'servers.json')
const run = (argv: string, env = {}) => cli.run(argv.split(' '), { home, env })
const asked = () => cli.requests.map(({ url, headers }) => [url, headers.authorization])

test('a token is kept for later command lines, for its owner alone', async () => {
  cli.replies.push({ body: {} })
  const told = await run(`login prod --url ${cli.url} --token secret-1`)
  expect(told).toMatchObject({ code: 0, out: '' })
  expect(told.err).toContain('Logged in to prod')
  expect(told.err).not.toContain('secret-1')
  expect((await stat(file())).mode & 0o777).toBe(0o600)
  expect((await stat(path.dirname(file()))).mode & 0o777).toBe(0o700)
  await run('devices get 1')
  expect(asked()).toEqual([
    ['/api/v1/status', 'Bearer secret-1'],
    ['/api/v1/devices?limit=1000&search=1', 'Bearer secret-1'],
    ['/api/v1/devices/1', 'Bearer secret-1'],
  ])
})

test('of several the last one is meant, or the one that is named', async () => {
  cli.replies.push({ body: {} }, { body: {} })
  await run(`login prod --url ${cli.url} --token secret-1`)
  await run(`login test --url ${cli.url} --token secret-2`)
  const used = async (argv: string, env = {}) => {
    cli.requests.splice(0)
    const { code } = await run(argv, env)
    return [code, cli.requests.at(-1)?.headers.authorization]
  }
  expect(await used('settings get')).toEqual([0, 'Bearer secret-2'])
  expect(await used('settings get --login prod')).toEqual([0, 'Bearer secret-1'])
  expect((await run('login prod')).err).toContain('Commands go to prod')
  expect(await used('settings get')).toEqual([0, 'Bearer secret-1'])
  const given = { FIRSTBOOT_URL: cli.url, FIRSTBOOT_TOKEN: 'of the environment' }
  expect(await used('settings get', given)).toEqual([0, 'Bearer of the environment'])
  expect(await used('settings get --login test', given)).toEqual([0, 'Bearer secret-2'])
  expect((await run('logout prod')).err).toContain('is forgotten')
  expect(await readFile(file(), 'utf8')).not.toContain('secret-1')
  expect(await used('settings get --login prod')).toEqual([2, undefined])
})

test('a token that the server refuses is not kept, and a stored one goes to no other address', async () => {
  cli.replies.push({ status: 401, body: { title: 'A valid API token is needed.' } })
  expect((await run(`login prod --url ${cli.url} --token wrong`)).code).toBe(1)
  await expect(stat(file())).rejects.toThrow('ENOENT')
  cli.replies.push({ body: {} })
  await run(`login prod --url http://127.0.0.1:1 --token secret-1`)
  cli.requests.splice(0)
  const other = await run(`settings get --url ${cli.url}`, { FIRSTBOOT_DATA_DIR: '/nowhere' })
  expect([other.code, cli.requests]).toEqual([2, []])
  const both = await run(`settings get --login prod --url ${cli.url}`)
  expect(both).toMatchObject({ code: 2, out: '' })
})

test('a file that others may read, or that is something else, is not used', async () => {
  cli.replies.push({ body: {} })
  await run(`login prod --url ${cli.url} --token secret-1`)
  await chmod(file(), 0o644)
  const open = await run('settings get')
  expect(open).toMatchObject({ code: 2, out: '' })
  expect(open.err).toContain(`chmod 600 ${file()}`)
  await chmod(file(), 0o600)
  await writeFile(file(), '{"servers": {"prod": {"url": 7}}}')
  expect((await run('settings get')).err).toContain('log in again')
  expect((await run('login ../prod --token x')).code).toBe(2)
})
