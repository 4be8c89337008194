import { X509Certificate, createPrivateKey } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

const FOLDER = path.resolve(import.meta.dirname, '../../certs.example')
const read = (name: string) => readFileSync(path.join(FOLDER, name), 'utf8')
const certificate = (name: string) => new X509Certificate(read(`${name}.pem`))
const openssl = (...parameters: string[]) =>
  execFileSync('openssl', parameters, { cwd: FOLDER, encoding: 'utf8' })

test('the page of the folder names every file and says what they are not for', () => {
  const page = read('README.md')
  const files = readdirSync(FOLDER).filter((name) => name !== 'README.md')
  expect(files.filter((name) => !page.includes(`${name}\``))).toEqual([])
  expect(page).toMatch(/^# Throw-away/)
})

test.each(['ca', 'tls', 'push', 'push-other-topic', 'push-expired', 'token-pki'])(
  '%s has its key',
  (name) => {
    expect(certificate(name).checkPrivateKey(createPrivateKey(read(`${name}.key.pem`)))).toBe(true)
  },
)

test.each(['ca', 'tls', 'push', 'push-other-topic', 'push-expired'])(
  '%s is signed by the authority',
  (name) => {
    expect(certificate(name).verify(certificate('ca').publicKey)).toBe(true)
  },
)

test('all but the expired one are valid for years to come', () => {
  const inTenYears = Date.now() + 10 * 365 * 24 * 3600_000
  for (const name of ['ca', 'tls', 'push', 'push-other-topic', 'token-pki']) {
    expect(certificate(name).validToDate.getTime(), name).toBeGreaterThan(inTenYears)
  }
  expect(certificate('push-expired').validToDate.toISOString()).toBe('2021-01-01T00:00:00.000Z')
})

test('push certificates carry their topic as UID (0.9.2342.19200300.100.1.1)', () => {
  const topic = (name: string) =>
    /^UID=(com\.apple\.mgmt\.External\.[\da-f-]{36})$/m.exec(certificate(name).subject)?.[1]
  expect(topic('push')).toBe('com.apple.mgmt.External.11111111-1111-4111-8111-111111111111')
  expect(topic('push-other-topic')).toBe('com.apple.mgmt.External.22222222-2222-4222-8222-222222222222')
  expect(topic('push-expired')).toBe(topic('push'))
  const bundle = openssl('pkcs12', '-in', 'push.p12', '-passin', 'pass:firstboot', '-nokeys')
  expect(new X509Certificate(bundle).fingerprint256).toBe(certificate('push').fingerprint256)
})

test('the server token opens with its key', () => {
  const content = openssl(
    'cms',
    '-decrypt',
    '-in',
    'token.p7m',
    '-inkey',
    'token-pki.key.pem',
    '-recip',
    'token-pki.pem',
  )
  const [, json = ''] = /-----BEGIN MESSAGE-----\r?\n([^]*)-----END MESSAGE-----/.exec(content) ?? []
  expect(Object.keys(JSON.parse(json) as object).toSorted()).toEqual([
    ...['access_secret', 'access_token', 'access_token_expiry', 'consumer_key', 'consumer_secret'],
  ])
})
