import { describe, expect, test } from 'vitest'
import { signOAuth, verifyOAuth } from '../../../src/protocol/ade/index.ts'

const credentials = {
  consumerKey: 'CK_1',
  consumerSecret: 'CS_secret/with+signs',
  accessToken: 'AT_1',
  accessSecret: 'AS_ümlaut',
}
const now = new Date('2026-11-25T10:00:00Z')
const timestamp = now.getTime() / 1000
const url = 'https://mdmenrollment.apple.com/session'
const signed = (changes: Partial<Parameters<typeof signOAuth>[0]> = {}) =>
  signOAuth({ method: 'GET', url, credentials, nonce: 'n-1', timestamp, ...changes })

function verdict(authorization: string | undefined, nonces: string[] = [], asked = url) {
  const result = verifyOAuth(
    { method: 'GET', url: asked, authorization },
    {
      find: (key) => (key === 'CK_1' ? credentials : undefined),
      takeNonce(nonce) {
        const isNew = !nonces.includes(nonce)
        nonces.push(nonce)
        return isNew
      },
      now,
      toleranceSeconds: 300,
    },
  )
  return result.ok ? 'ok' : `${result.status} ${result.problem}`
}

// The photo printer of OAuth Core 1.0, appendix A.5.
test('the published example', () => {
  const header = signOAuth({
    method: 'GET',
    url: 'http://photos.example.net/photos?file=vacation.jpg&size=original',
    credentials: {
      consumerKey: 'dpf43f3p2l4k3l03',
      consumerSecret: 'kd94hf93k423kf44',
      accessToken: 'nnch734d00sl2jdk',
      accessSecret: 'pfkkdhi9sl3r4s00',
    },
    nonce: 'kllo9940pd9333jh',
    timestamp: 1191242096,
  })
  expect(header).toContain(`oauth_signature="${encodeURIComponent('tR3+Ty81lMeYAr/Fid0kMTYa/WM=')}"`)
  expect(header).toMatch(/^OAuth realm="ADM", oauth_consumer_key="dpf43f3p2l4k3l03", /)
})

describe('the verifier', () => {
  test('takes what the signer makes, once', () => {
    const nonces: string[] = []
    expect(verdict(signed(), nonces)).toBe('ok')
    expect(verdict(signed(), nonces)).toBe('401 nonce_used')
  })

  test.each([
    [
      'another consumer',
      { credentials: { ...credentials, consumerKey: 'CK_2' } },
      '401 consumer_key_unknown',
    ],
    ['another token', { credentials: { ...credentials, accessToken: 'AT_2' } }, '401 token_rejected'],
    ['another secret', { credentials: { ...credentials, accessSecret: 'x' } }, '401 signature_invalid'],
    ['another method', { method: 'POST' }, '401 signature_invalid'],
    ['another address', { url: `${url}s` }, '401 signature_invalid'],
    ['too old', { timestamp: timestamp - 301 }, '401 timestamp_refused'],
    ['from the future', { timestamp: timestamp + 301 }, '401 timestamp_refused'],
  ])('refuses %s', (_, changes, expected) => {
    const nonces: string[] = []
    expect(verdict(signed(changes), nonces)).toBe(expected)
    expect(nonces).toEqual([])
  })

  test.each([
    [undefined, '400 no OAuth authorization'],
    ['Basic YTpi', '400 no OAuth authorization'],
    [signed().replace('HMAC-SHA1', 'PLAINTEXT'), '400 signature_method_rejected'],
    [signed().replace('"1.0"', '"2.0"'), '400 version_rejected'],
    [signed().replace(/oauth_nonce="[^"]*", /, ''), '400 parameter_absent: oauth_nonce'],
    [`${signed()}, oauth_nonce="n-2"`, '400 parameter_rejected: oauth_nonce twice'],
    [signed().replace('n-1', '%zz'), '400 parameter_rejected: oauth_nonce'],
    [
      signed().replace(/oauth_timestamp="\d+"/, 'oauth_timestamp="now"'),
      '400 parameter_rejected: oauth_timestamp',
    ],
  ])('calls %s malformed', (header, expected) => {
    expect(verdict(header)).toBe(expected)
  })
})
