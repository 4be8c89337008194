import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { readEnv, VARIABLES } from '../../src/config/env.ts'
import { ConfigError } from '../../src/config/problems.ts'

const CERTS = path.resolve(import.meta.dirname, '../../certs.example')
const folder = mkdtempSync(path.join(tmpdir(), 'firstboot-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

const cert = (name: string) => path.join(CERTS, name)
const load = (variables: Record<string, string>) => loadConfig(readEnv(variables))

function file(name: string, ...parts: string[]): string {
  const target = path.join(folder, name)
  writeFileSync(target, parts.join(''))
  return target
}

/** The problems of these settings, as "variable message". */
function problems(variables: Record<string, string>): string[] {
  try {
    load(variables)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((each) => `${each.variable} ${each.message}`)
    throw error
  }
  return []
}

test('with nothing set, the defaults of the documentation hold', () => {
  expect(load({})).toEqual({
    database: 'embedded',
    dataDir: path.resolve('firstboot-data'),
    listener: { host: '127.0.0.1', port: 8080 },
    operatorListener: null,
    publicUrl: 'http://127.0.0.1:8080',
    tls: null,
    trustedProxies: [],
    clientCertHeader: null,
    ade: { url: 'https://mdmenrollment.apple.com', caPem: null },
    apns: { url: 'https://api.push.apple.com', caPem: null },
    escrow: {
      url: 'https://deviceservices-external.apple.com/deviceservicesworkers/escrowKeyUnlock',
      caPem: null,
    },
    declarationUrl: null,
    authProxyUrl: null,
    machineInfo: { trust: 'enforce', caPem: null },
    allowPrivateWebhooks: false,
    logLevel: 'info',
  })
})

test('with everything set, everything is read', () => {
  const authority = file(
    'ca-pair.pem',
    readFileSync(cert('ca.pem'), 'utf8'),
    readFileSync(cert('ca.key.pem'), 'utf8'),
  )
  const everything = {
    FIRSTBOOT_DATABASE_URL: 'postgres://firstboot:hush@db.example.org/firstboot',
    FIRSTBOOT_DATA_DIR: folder,
    FIRSTBOOT_HOST: '::',
    FIRSTBOOT_PORT: '443',
    FIRSTBOOT_OPERATOR_HOST: 'localhost',
    FIRSTBOOT_OPERATOR_PORT: '8081',
    FIRSTBOOT_PUBLIC_URL: 'https://MDM.example.org/',
    FIRSTBOOT_TLS_CERT_FILE: cert('tls.pem'),
    FIRSTBOOT_TLS_KEY_FILE: cert('tls.key.pem'),
    FIRSTBOOT_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    FIRSTBOOT_CLIENT_CERT_HEADER: 'Client-Cert',
    FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    FIRSTBOOT_SECRET_KEY_PREVIOUS: Buffer.alloc(32, 8).toString('base64'),
    FIRSTBOOT_ADMIN_TOKEN: 'a-token-of-more-than-thirty-two-characters',
    FIRSTBOOT_DEVICE_CA_FILE: authority,
    FIRSTBOOT_ADE_URL: 'http://127.0.0.1:9001/ade/',
    FIRSTBOOT_ADE_CA_FILE: cert('ca.pem'),
    FIRSTBOOT_APNS_URL: 'https://localhost:9002',
    FIRSTBOOT_APNS_CA_FILE: cert('ca.pem'),
    FIRSTBOOT_ESCROW_URL: 'https://localhost:9003/escrow',
    FIRSTBOOT_ESCROW_CA_FILE: cert('ca.pem'),
    FIRSTBOOT_DECLARATION_URL: 'https://10.0.0.1/ddm/',
    FIRSTBOOT_DECLARATION_HMAC_KEY: 'the key of questions',
    FIRSTBOOT_DECLARATION_VERIFY_HMAC_KEY: 'the key of answers',
    FIRSTBOOT_AUTHPROXY_URL: 'http://127.0.0.1:9004',
    FIRSTBOOT_MACHINE_INFO_TRUST: 'log',
    FIRSTBOOT_MACHINE_INFO_CA_FILE: cert('ca.pem'),
    FIRSTBOOT_ALLOW_PRIVATE_WEBHOOKS: 'true',
    FIRSTBOOT_LOG_LEVEL: 'debug',
  }
  expect(new Set([...Object.keys(everything), 'FIRSTBOOT_SECRET_KEY_FILE'])).toEqual(new Set(VARIABLES))
  const config = load(everything)
  const caPem = expect.stringContaining('BEGIN CERTIFICATE')
  expect(config).toEqual({
    database: 'postgres',
    dataDir: folder,
    listener: { host: '::', port: 443 },
    operatorListener: { host: 'localhost', port: 8081 },
    publicUrl: 'https://mdm.example.org',
    tls: { certFile: cert('tls.pem'), keyFile: cert('tls.key.pem') },
    trustedProxies: ['10.0.0.0/8', '::1'],
    clientCertHeader: 'client-cert',
    ade: { url: 'http://127.0.0.1:9001/ade', caPem },
    apns: { url: 'https://localhost:9002', caPem },
    escrow: { url: 'https://localhost:9003/escrow', caPem },
    declarationUrl: 'https://10.0.0.1/ddm',
    authProxyUrl: 'http://127.0.0.1:9004',
    machineInfo: { trust: 'log', caPem },
    allowPrivateWebhooks: true,
    logLevel: 'debug',
  })
  expect(JSON.stringify(config)).not.toMatch(/hush|a-token|PRIVATE KEY|BwcHBw/)
})

test('all problems are told at once, secrets included, and without the secrets', () => {
  const broken = {
    FIRSTBOOT_DATABASE_URL: 'mysql://root:hush@db/x',
    FIRSTBOOT_PORT: '80a',
    FIRSTBOOT_PUBLIC_URL: 'http://mdm.example.org',
    FIRSTBOOT_ADMIN_TOKEN: 'hush',
    FIRSTBOOT_SECRET_KEY: 'hush',
    FIRSTBOOT_LOG_LEVEL: 'loud',
    FIRSTBOOT_PROT: '8080',
  }
  expect(problems(broken)).toHaveLength(7)
  expect(() => load(broken)).toThrow(/^The settings have 7 problems:\n {2}FIRSTBOOT_/)
  expect(problems(broken).join('\n')).not.toContain('hush')
})

test('whatever stands in the settings, the answer is a config or a list of problems, without the secrets', () => {
  const secret = fc.string({ minLength: 4, maxLength: 60 }).map((text) => `hush${text}`)
  const values = fc.dictionary(fc.constantFrom(...VARIABLES), fc.string({ unit: 'binary', maxLength: 80 }))
  fc.assert(
    fc.property(values, secret, (variables, hush) => {
      const all = {
        ...variables,
        FIRSTBOOT_SECRET_KEY: hush,
        FIRSTBOOT_ADMIN_TOKEN: hush,
        FIRSTBOOT_DATABASE_URL: hush,
      }
      expect(problems(all).length).toBeGreaterThanOrEqual(2)
      expect(problems(all).join('\n')).not.toContain('hush')
    }),
    { numRuns: 40 },
  )
})

test('a name that is none is a problem, unless it is of the tests or of the command line', () => {
  expect(problems({ FIRSTBOOT_PROT: '1' })).toEqual([
    'FIRSTBOOT_PROT is not a setting; is FIRSTBOOT_PORT meant?',
  ])
  expect(problems({ FIRSTBOOT_FROBNICATE: '' })).toEqual(['FIRSTBOOT_FROBNICATE is not a setting'])
  expect(
    problems({ FIRSTBOOT_TEST_POSTGRES: 'x', FIRSTBOOT_URL: 'x', FIRSTBOOT_TOKEN: 'x', PORT: 'x' }),
  ).toEqual([])
})

test('an empty value is an unset one', () => {
  expect(load({ FIRSTBOOT_PORT: ' ', FIRSTBOOT_TLS_CERT_FILE: '' })).toEqual(load({}))
})

test('the default public address follows port and TLS', () => {
  const tls = { FIRSTBOOT_TLS_CERT_FILE: cert('tls.pem'), FIRSTBOOT_TLS_KEY_FILE: cert('tls.key.pem') }
  expect(load({ FIRSTBOOT_PORT: '9000' }).publicUrl).toBe('http://127.0.0.1:9000')
  expect(load({ FIRSTBOOT_PORT: '9000', ...tls }).publicUrl).toBe('https://127.0.0.1:9000')
})

describe('refused', () => {
  const certWithKey = {
    FIRSTBOOT_TLS_CERT_FILE: cert('tls.pem'),
    FIRSTBOOT_TLS_KEY_FILE: cert('push.key.pem'),
  }
  const secretKey = Buffer.alloc(32).toString('base64')
  test.each<[Record<string, string>, RegExp]>([
    [{ FIRSTBOOT_PORT: '65536' }, /^FIRSTBOOT_PORT must be a port/],
    [{ FIRSTBOOT_PORT: '-1' }, /^FIRSTBOOT_PORT must be a port/],
    [{ FIRSTBOOT_HOST: 'http://localhost' }, /^FIRSTBOOT_HOST must be an IP address or a host name/],
    [{ FIRSTBOOT_HOST: '127.0.0' }, /^FIRSTBOOT_HOST must be an IP address or a host name/],
    [{ FIRSTBOOT_OPERATOR_HOST: '::1' }, /^FIRSTBOOT_OPERATOR_PORT must be set when/],
    [{ FIRSTBOOT_OPERATOR_PORT: '8080' }, /^FIRSTBOOT_OPERATOR_PORT must be another port/],
    [{ FIRSTBOOT_PUBLIC_URL: 'https://mdm.example.org/mdm' }, /^FIRSTBOOT_PUBLIC_URL must not have a path/],
    [
      { FIRSTBOOT_PUBLIC_URL: 'https://a:b@mdm.example.org' },
      /^FIRSTBOOT_PUBLIC_URL must not hold a user name/,
    ],
    [{ FIRSTBOOT_PUBLIC_URL: 'mdm.example.org' }, /^FIRSTBOOT_PUBLIC_URL must be an https:/],
    [{ FIRSTBOOT_PUBLIC_URL: 'http://127.0.0.1.example.org' }, /^FIRSTBOOT_PUBLIC_URL must be https;/],
    [{ FIRSTBOOT_ADE_URL: 'http://10.0.0.1' }, /^FIRSTBOOT_ADE_URL must be https;/],
    [{ FIRSTBOOT_APNS_URL: 'https://apns.example.org?x=1' }, /^FIRSTBOOT_APNS_URL must not have a query/],
    [
      { FIRSTBOOT_APNS_CA_FILE: '/nowhere' },
      /^FIRSTBOOT_APNS_CA_FILE .*cannot be read: \/nowhere \(ENOENT\)/,
    ],
    [{ FIRSTBOOT_ADE_CA_FILE: cert('ca.key.pem') }, /^FIRSTBOOT_ADE_CA_FILE .*without a certificate/],
    [
      { FIRSTBOOT_MACHINE_INFO_TRUST: 'maybe' },
      /^FIRSTBOOT_MACHINE_INFO_TRUST must be one of off, log, enforce/,
    ],
    [{ FIRSTBOOT_ALLOW_PRIVATE_WEBHOOKS: 'yes' }, /^FIRSTBOOT_ALLOW_PRIVATE_WEBHOOKS must be true or false/],
    [{ FIRSTBOOT_TLS_CERT_FILE: cert('tls.pem') }, /^FIRSTBOOT_TLS_KEY_FILE must be set together/],
    [{ FIRSTBOOT_TLS_KEY_FILE: cert('tls.key.pem') }, /^FIRSTBOOT_TLS_CERT_FILE must be set together/],
    [certWithKey, /^FIRSTBOOT_TLS_CERT_FILE .*does not match its key/],
    [{ FIRSTBOOT_TRUSTED_PROXIES: '10.0.0.0/33' }, /^FIRSTBOOT_TRUSTED_PROXIES .*"10.0.0.0\/33"/],
    [{ FIRSTBOOT_TRUSTED_PROXIES: '10.0.0.1,proxy' }, /^FIRSTBOOT_TRUSTED_PROXIES .*not "proxy"/],
    [
      { FIRSTBOOT_CLIENT_CERT_HEADER: 'client-cert' },
      /^FIRSTBOOT_CLIENT_CERT_HEADER needs FIRSTBOOT_TRUSTED_PROX/,
    ],
    [{ FIRSTBOOT_DATABASE_URL: 'db.example.org' }, /^FIRSTBOOT_DATABASE_URL must begin with postgres/],
    [{ FIRSTBOOT_DATABASE_URL: 'postgres://a:b#c@h:x/' }, /^FIRSTBOOT_DATABASE_URL is not a well-formed/],
    [{ FIRSTBOOT_SECRET_KEY_PREVIOUS: 'AAAA' }, /^FIRSTBOOT_SECRET_KEY_PREVIOUS must be 32 bytes/],
    [{ FIRSTBOOT_ADMIN_TOKEN: 'x'.repeat(31) }, /^FIRSTBOOT_ADMIN_TOKEN must have 32 characters/],
    [{ FIRSTBOOT_ADMIN_TOKEN: ' x'.repeat(32) }, /^FIRSTBOOT_ADMIN_TOKEN must be made of visible/],
    [
      { FIRSTBOOT_SECRET_KEY: secretKey, FIRSTBOOT_SECRET_KEY_FILE: cert('ca.pem') },
      /must not be set together/,
    ],
    [{ FIRSTBOOT_DEVICE_CA_FILE: cert('ca.pem') }, /^FIRSTBOOT_DEVICE_CA_FILE .*without a private key/],
  ])('%o', (variables, expected) => {
    expect(problems(variables).join('\n')).toMatch(expected)
  })

  test('a header name with a space', () => {
    const variables = { FIRSTBOOT_CLIENT_CERT_HEADER: 'client cert', FIRSTBOOT_TRUSTED_PROXIES: '::1' }
    expect(problems(variables)).toEqual([expect.stringMatching(/must be the name of a header/)])
  })

  test('a CA as CAs publish theirs, in DER, is taken as in PEM', () => {
    const [, base64 = ''] =
      /-----BEGIN CERTIFICATE-----([^-]*)-----END/.exec(readFileSync(cert('ca.pem'), 'utf8')) ?? []
    const der = path.join(folder, 'ca.cer')
    writeFileSync(der, Buffer.from(base64, 'base64'))
    const inPem = load({ FIRSTBOOT_MACHINE_INFO_CA_FILE: cert('ca.pem') }).machineInfo
    expect(load({ FIRSTBOOT_MACHINE_INFO_CA_FILE: der }).machineInfo).toEqual(inPem)
  })

  test('a damaged certificate, an encrypted key, a device CA that is none', () => {
    const damaged = file('damaged.pem', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n')
    expect(problems({ FIRSTBOOT_ADE_CA_FILE: damaged })).toEqual([
      expect.stringContaining('damaged certificate'),
    ])
    const encrypted = file(
      'encrypted.pem',
      readFileSync(cert('ca.pem'), 'utf8'),
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n',
    )
    expect(problems({ FIRSTBOOT_DEVICE_CA_FILE: encrypted })).toEqual([
      expect.stringContaining('is encrypted'),
    ])
    const leaf = file(
      'leaf.pem',
      readFileSync(cert('tls.pem'), 'utf8'),
      readFileSync(cert('tls.key.pem'), 'utf8'),
    )
    expect(problems({ FIRSTBOOT_DEVICE_CA_FILE: leaf })).toEqual([
      expect.stringContaining('not of a certificate auth'),
    ])
  })
})
