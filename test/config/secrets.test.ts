import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readEnv } from '../../src/config/env.ts'
import { openToOthers } from '../../src/config/private-files.ts'
import { ConfigError } from '../../src/config/problems.ts'
import { loadSecrets } from '../../src/config/secrets.ts'

let parent: string
let dataDir: string
beforeEach(() => {
  parent = mkdtempSync(path.join(tmpdir(), 'firstboot-secrets-'))
  dataDir = path.join(parent, 'not', 'there', 'yet')
})
afterEach(() => rmSync(parent, { recursive: true }))

const load = (variables: Record<string, string> = {}) => loadSecrets(readEnv(variables), dataDir)

test('the first start makes a key and an admin token for the owner alone; the next start finds them', () => {
  const first = load()
  expect(first.secretKey).toHaveLength(32)
  expect(first.adminToken).toMatch(/^[\w-]{43}$/)
  expect(first.adminTokenFile).toBe(path.join(dataDir, 'admin-token'))
  expect(first).toMatchObject({ previousSecretKey: null, databaseUrl: null, deviceCa: null })
  expect(readdirSync(dataDir).toSorted()).toEqual(['admin-token', 'secret-key'])
  for (const name of readdirSync(dataDir)) expect(statSync(path.join(dataDir, name)).mode & 0o777).toBe(0o600)
  expect(statSync(dataDir).mode & 0o777).toBe(0o700)
  expect(load()).toEqual(first)
})

test('processes that start at the same moment agree on one key and one token', async () => {
  const module = path.resolve(import.meta.dirname, '../../src/config/secrets.ts')
  const script = `const { loadSecrets } = await import(${JSON.stringify(module)})
    const { secretKey, adminToken } = loadSecrets({ values: {}, unknown: [] }, ${JSON.stringify(dataDir)})
    console.log(secretKey.toString('hex'), adminToken)`
  const start = () => promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  const answers = await Promise.all([start(), start(), start(), start()])
  const { secretKey, adminToken } = load()
  expect(new Set(answers.map(({ stdout }) => stdout))).toEqual(
    new Set([`${secretKey.toString('hex')} ${adminToken}\n`]),
  )
  expect(readdirSync(dataDir).toSorted()).toEqual(['admin-token', 'secret-key'])
})

test('what the environment gives is taken, and nothing is written', () => {
  const key = Buffer.alloc(32, 1)
  const previous = Buffer.alloc(32, 2)
  const secrets = load({
    FIRSTBOOT_SECRET_KEY: key.toString('base64url'),
    FIRSTBOOT_SECRET_KEY_PREVIOUS: previous.toString('base64'),
    FIRSTBOOT_ADMIN_TOKEN: 'x'.repeat(32),
    FIRSTBOOT_DATABASE_URL: 'postgresql:///firstboot?host=/run/postgresql',
  })
  expect(secrets).toEqual({
    secretKey: key,
    previousSecretKey: previous,
    adminToken: 'x'.repeat(32),
    adminTokenFile: null,
    databaseUrl: 'postgresql:///firstboot?host=/run/postgresql',
    deviceCa: null,
    declarationKeys: { send: null, verify: null },
  })
  expect(statSync(dataDir, { throwIfNoEntry: false })).toBeUndefined()
})

test('a key file is read; one that holds something else is refused without telling what', () => {
  const keyFile = path.join(parent, 'key')
  writeFileSync(keyFile, `${Buffer.alloc(32, 3).toString('base64')}\n`, { mode: 0o600 })
  expect(load({ FIRSTBOOT_SECRET_KEY_FILE: keyFile }).secretKey).toEqual(Buffer.alloc(32, 3))
  writeFileSync(keyFile, 'some secret words')
  const problem = { variable: 'FIRSTBOOT_SECRET_KEY_FILE', message: expect.stringContaining(`is no key`) }
  expect(problemsOf(() => load({ FIRSTBOOT_SECRET_KEY_FILE: keyFile }))).toEqual([problem])
  expect(JSON.stringify(problemsOf(() => load({ FIRSTBOOT_SECRET_KEY_FILE: keyFile })))).not.toContain(
    'words',
  )
})

test('a key file that others may read or change is refused, with what to do', () => {
  const keyFile = path.join(parent, 'key')
  writeFileSync(keyFile, Buffer.alloc(32, 3).toString('base64'))
  for (const mode of [0o644, 0o640, 0o604, 0o660, 0o620, 0o777]) {
    chmodSync(keyFile, mode)
    const message = `names a file that others may read; run chmod 600 ${keyFile}`
    const problem = { variable: 'FIRSTBOOT_SECRET_KEY_FILE', message }
    expect(problemsOf(() => load({ FIRSTBOOT_SECRET_KEY_FILE: keyFile }))).toEqual([problem])
  }
  for (const mode of [0o600, 0o400, 0o700]) {
    chmodSync(keyFile, mode)
    expect(load({ FIRSTBOOT_SECRET_KEY_FILE: keyFile }).secretKey).toEqual(Buffer.alloc(32, 3))
  }
})

test('a folder and files with keys that others may read are told', () => {
  load()
  const keyFile = path.join(parent, 'tls.key')
  const caFile = path.join(parent, 'ca.pem')
  for (const file of [keyFile, caFile]) writeFileSync(file, '', { mode: 0o644 })
  const env = readEnv({ FIRSTBOOT_DEVICE_CA_FILE: caFile })
  const tls = { certFile: keyFile, keyFile }
  expect(openToOthers({ dataDir, tls }, env)).toEqual([
    { path: keyFile, chmod: '600' },
    { path: caFile, chmod: '600' },
  ])
  chmodSync(keyFile, 0o400)
  chmodSync(dataDir, 0o750)
  expect(openToOthers({ dataDir, tls }, readEnv({}))).toEqual([{ path: dataDir, chmod: '700' }])
  const nowhere = path.join(parent, 'nowhere')
  expect(openToOthers({ dataDir: nowhere, tls: null }, readEnv({}))).toEqual([])
})

test('a damaged or readable secret key is refused, never replaced', () => {
  load()
  const file = path.join(dataDir, 'secret-key')
  const content = readFileSync(file, 'utf8')
  chmodSync(file, 0o644)
  const readable = { variable: 'FIRSTBOOT_DATA_DIR', message: expect.stringContaining(`chmod 600 ${file}`) }
  expect(problemsOf(load)).toEqual([readable])
  chmodSync(file, 0o600)
  writeFileSync(file, '')
  const damaged = expect.stringMatching(/unusable secret-key: must be 32 bytes/)
  expect(problemsOf(load)).toEqual([{ variable: 'FIRSTBOOT_DATA_DIR', message: damaged }])
  expect(readFileSync(file, 'utf8')).toBe('')
  writeFileSync(file, content)
  expect(load().secretKey.toString('base64')).toBe(content.trim())
})

test('a data folder that cannot be made is told with its reason', () => {
  writeFileSync(path.join(parent, 'not'), 'a file')
  const message = expect.stringMatching(/unusable secret-key: (ENOTDIR|EEXIST)/)
  expect(problemsOf(load)).toEqual([{ variable: 'FIRSTBOOT_DATA_DIR', message }])
})

function problemsOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('Nothing was refused.')
}
