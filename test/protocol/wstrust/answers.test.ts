import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/kernel/clock.ts'
import { createHttpClient } from '../../../src/kernel/http-client.ts'
import { checkPassword, discoverEndpoint, ISSUE_ACTION, NS } from '../../../src/protocol/wstrust/index.ts'

const PASSWORD = 'correct horse battery staple'

/** What the server says next. */
let reply: { status: number; body: string | Buffer; headers?: Record<string, string> }
let url: string
let requests = 0
const http = createHttpClient({
  timeoutMs: 10_000,
  maxBytes: 1024 * 1024,
  userAgent: 'x',
  clock: systemClock,
})
const server = createServer((request, response) => {
  requests++
  request.resume()
  request.on('end', () => response.writeHead(reply.status, reply.headers).end(reply.body))
})

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(() => {
  http.close()
  server.closeAllConnections()
  server.close()
})

async function resultOf(status: number, body: string | Buffer, headers: Record<string, string> = {}) {
  reply = { status, body, headers }
  const result = await checkPassword({
    endpoint: `${url}/trust`,
    appliesTo: 'urn:x',
    userName: 'alice',
    password: PASSWORD,
    http,
    clock: systemClock,
  })
  expect(JSON.stringify(result)).not.toContain(PASSWORD)
  return result.ok ? result : { reason: result.reason, detail: result.detail }
}

const envelope = (body: string, soap: string = NS.soap12) =>
  `<E:Envelope xmlns:E="${soap}"><E:Header/><E:Body>${body}</E:Body></E:Envelope>`
const fault = (code: string, reason = 'said', namespace: string = NS.wsse) =>
  envelope(
    `<E:Fault><E:Code><E:Value>E:Sender</E:Value><E:Subcode><E:Value xmlns:q="${namespace}">q:${code}</E:Value></E:Subcode></E:Code><E:Reason><E:Text xml:lang="en">${reason}</E:Text></E:Reason></E:Fault>`,
  )
const response = (token: string) =>
  `<r:RequestSecurityTokenResponse xmlns:r="${NS.wst}"><r:RequestedSecurityToken>${token}</r:RequestedSecurityToken></r:RequestSecurityTokenResponse>`
const ASSERTION = `<Assertion xmlns="${NS.saml20}"><Subject><NameID>alice@example.com</NameID></Subject></Assertion>`

describe('tokens', () => {
  test.each([
    ['bare', envelope(response(ASSERTION))],
    [
      'in a collection',
      envelope(
        `<c:RequestSecurityTokenResponseCollection xmlns:c="${NS.wst}">${response(ASSERTION)}</c:RequestSecurityTokenResponseCollection>`,
      ),
    ],
    ['in SOAP 1.1', envelope(response(ASSERTION), NS.soap11)],
  ])('%s', async (_, body) => {
    expect(await resultOf(200, body)).toEqual({
      ok: true,
      subject: 'alice@example.com',
      userName: 'alice@example.com',
      email: undefined,
      displayName: undefined,
    })
  })

  test('a name identifier that is a number is no user name', async () => {
    const body = envelope(response(ASSERTION.replace('alice@example.com', 'pPgiKu0iGkO8c0mSqPrBLQ==')))
    expect(await resultOf(200, body)).toMatchObject({
      ok: true,
      subject: 'pPgiKu0iGkO8c0mSqPrBLQ==',
      userName: undefined,
    })
  })

  test('an ImmutableID says most of who it is; a name identifier that is new each time says nothing', async () => {
    const claim = (name: string, value: string) =>
      `<Attribute Name="${name}"><AttributeValue>${value}</AttributeValue></Attribute>`
    const immutable = claim('http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID', 'Zm9v')
    const upn = claim('http://schemas.xmlsoap.org/claims/UPN', 'A@x')
    const assertion = (claims: string, nameId: string) =>
      envelope(
        response(
          `<Assertion xmlns="${NS.saml20}"><Subject>${nameId}</Subject><AttributeStatement>${claims}</AttributeStatement></Assertion>`,
        ),
      )
    const transient = `<NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">b@x</NameID>`
    for (const [claims, nameId, expected] of [
      [immutable + upn, '<NameID>n</NameID>', { subject: 'Zm9v', userName: 'A@x' }],
      [upn, '<NameID>n</NameID>', { subject: 'n', userName: 'A@x' }],
      [upn, transient, { subject: 'A@x', userName: 'A@x' }],
      ['', transient, { subject: undefined, userName: undefined }],
      ['', '<NameID>b@x</NameID>', { subject: 'b@x', userName: 'b@x' }],
    ] as const) {
      expect(await resultOf(200, assertion(claims, nameId))).toMatchObject({ ok: true, ...expected })
    }
  })

  test.each([
    ['no token', envelope(response(''))],
    ['an assertion of another namespace', envelope(response('<Assertion xmlns="urn:mine"/>'))],
    ['an encrypted one', envelope(response(`<EncryptedAssertion xmlns="${NS.saml20}"/>`))],
    [
      'WS-Trust of 2005',
      envelope(response(ASSERTION)).replaceAll(NS.wst, 'http://schemas.xmlsoap.org/ws/2005/02/trust'),
    ],
    ['an assertion without a response', envelope(ASSERTION)],
    ['a response outside of SOAP', response(ASSERTION)],
    ['a token with another status', undefined],
  ])('%s is no success', async (_, body) => {
    const result = body === undefined ? resultOf(202, envelope(response(ASSERTION))) : resultOf(200, body)
    expect(await result).toMatchObject({ reason: 'directory_unavailable' })
  })
})

describe('faults', () => {
  const adfs = (code: string, reason?: string) => fault(code, reason, NS.adfs)
  test.each([
    [fault('FailedAuthentication', 'ID3242: The security token'), 'invalid_credentials'],
    [fault('FailedAuthentication', 'said', NS.wst), 'invalid_credentials'],
    [fault('FailedAuthentication', 'said', NS.wst2005), 'invalid_credentials'],
    // The text never decides, whatever it says and in whatever language.
    [fault('FailedAuthentication', 'the user password has expired'), 'invalid_credentials'],
    [fault('FailedAuthentication', 'user must change password at next logon'), 'invalid_credentials'],
    [fault('FailedAuthentication', 'Multi-factor authentication is required'), 'invalid_credentials'],
    [fault('FailedAuthentication', 'AADSTS50055'), 'invalid_credentials'],
    [fault('RequestFailed', 'additional authentication needed', NS.wst), 'directory_unavailable'],
    // AD FS's own codes: Class.Reason.
    [
      adfs('FailedAuthentication.ExpiredPassword', 'MSIS3125: The user password expired.'),
      'password_expired',
    ],
    [
      adfs('FailedAuthentication.ExpiredPassword', 'MSIS3125: Das Kennwort ist abgelaufen.'),
      'password_expired',
    ],
    [
      adfs('FailedAuthentication.ExpiredPassword', 'パスワードの有効期限が切れています。'),
      'password_expired',
    ],
    [adfs('FailedAuthentication.ExpiredPassword', ''), 'password_expired'],
    [adfs('FailedAuthentication', 'the password has expired'), 'invalid_credentials'],
    [adfs('FailedAuthentication.'), 'invalid_credentials'],
    [adfs('FailedAuthentication.AccountLocked', 'the password has expired'), 'invalid_credentials'],
    [adfs('FailedAuthentication.ExpiredPassword.Soon'), 'invalid_credentials'],
    [adfs('FailedAuthenticationExpiredPassword'), 'directory_unavailable'],
    [adfs('failedauthentication.expiredpassword'), 'directory_unavailable'],
    [adfs('UnsupportedRequest.ExpiredPassword', 'the password has expired'), 'directory_unavailable'],
    [adfs('ExpiredPassword'), 'directory_unavailable'],
    [adfs('InvalidScope'), 'directory_unavailable'],
    // A dot in a code of another namespace means nothing.
    [fault('FailedAuthentication.ExpiredPassword'), 'directory_unavailable'],
    [fault('FailedAuthentication.ExpiredPassword', 'said', NS.wst), 'directory_unavailable'],
    [fault('FailedAuthentication.ExpiredPassword', 'said', NS.wst2005), 'directory_unavailable'],
    [fault('FailedAuthentication.ExpiredPassword', 'said', NS.adfs.slice(0, -1)), 'directory_unavailable'],
    [fault('RequestFailed', 'MSIS3127: The specified request failed.', NS.wst), 'directory_unavailable'],
    [fault('InvalidScope', 'ID3082', NS.wst), 'directory_unavailable'],
    [fault('InvalidScope', 'ID3082', NS.wst2005), 'directory_unavailable'],
    [fault('InvalidSecurity'), 'directory_unavailable'],
    [fault('SomethingElse', 'the password has expired'), 'directory_unavailable'],
    [fault('FailedAuthentication', 'said', 'urn:mine'), 'directory_unavailable'],
    [envelope('<E:Fault><E:Code><E:Value>E:Receiver</E:Value></E:Code></E:Fault>'), 'directory_unavailable'],
    [envelope('<E:Fault/>'), 'directory_unavailable'],
  ])('%#: %s', async (body, reason) => {
    expect(await resultOf(500, body)).toMatchObject({ reason })
    expect(await resultOf(200, body)).toMatchObject({ reason })
  })

  test.each([
    ['inside a general one', `xmlns:q="${NS.wsse}"`, `xmlns:a="${NS.adfs}"`],
    ['inside one that nobody knows', 'xmlns:q="urn:mine"', `xmlns:a="${NS.adfs}"`],
  ])("AD FS's code %s", async (_, outer, inner) => {
    const both = (first: string, second: string) =>
      envelope(
        `<E:Fault><E:Code><E:Value>E:Sender</E:Value><E:Subcode><E:Value ${outer} ${inner}>${first}</E:Value><E:Subcode><E:Value ${outer} ${inner}>${second}</E:Value></E:Subcode></E:Subcode></E:Code></E:Fault>`,
      )
    const codes = ['q:FailedAuthentication', '\n a:FailedAuthentication.ExpiredPassword\n'] as const
    expect(await resultOf(500, both(...codes))).toMatchObject({ reason: 'password_expired' })
    expect(await resultOf(500, both(codes[1], codes[0]))).toMatchObject({ reason: 'password_expired' })
  })

  test.each([
    [50126, 'invalid_credentials'],
    [50053, 'invalid_credentials'],
    [50055, 'password_expired'],
    [50076, 'mfa_required'],
    [50079, 'mfa_required'],
    [50057, 'user_disabled'],
    [50034, 'user_unknown'],
    [50142, 'password_change_required'],
    [90002, 'invalid_credentials'],
  ])("Entra ID's AADSTS%i", async (number, reason) => {
    const detail = `<E:Detail><psf:error xmlns:psf="http://schemas.microsoft.com/Passport/SoapServices/SOAPFault"><psf:internalerror><psf:text>AADSTS${number}: something&#xD;&#xA;Trace ID</psf:text></psf:internalerror></psf:error></E:Detail>`
    const body = fault('FailedAuthentication').replace('</E:Fault>', `${detail}</E:Fault>`)
    expect(await resultOf(500, body)).toMatchObject({ reason })
  })

  test.each([
    ['q:FailedAuthentication', `xmlns:q="${NS.wsse}"`, 'invalid_credentials'],
    ['wsse:FailedAuthentication', '', 'invalid_credentials'],
    ['q:FailedAuthentication', 'xmlns:q="urn:mine"', 'directory_unavailable'],
    ['q:FailedAuthentication.ExpiredPassword', `xmlns:q="${NS.adfs}"`, 'password_expired'],
    ['a:FailedAuthentication.ExpiredPassword', '', 'directory_unavailable'],
    ['q:FailedAuthentication', `xmlns:q="${NS.wst2005}"`, 'invalid_credentials'],
    ['E:Server', '', 'directory_unavailable'],
  ])('SOAP 1.1 with %s %s', async (code, declaration, reason) => {
    const body = envelope(
      `<E:Fault><faultcode ${declaration}>${code}</faultcode><faultstring>no</faultstring></E:Fault>`,
      NS.soap11,
    )
    expect(await resultOf(500, body)).toMatchObject({ reason })
  })

  test("the directory's words are told, on one line and not for ever, unless they hold the password", async () => {
    expect(
      await resultOf(500, fault('InvalidScope', `ID3082:\n  ${'x'.repeat(2000)}`, NS.wst)),
    ).toMatchObject({
      detail: expect.stringMatching(/\(InvalidScope\): "ID3082: x{292}"$/) as string,
    })
    expect(await resultOf(500, fault('FailedAuthentication', `${PASSWORD} is wrong`))).toMatchObject({
      detail: expect.stringMatching(/relying party$/) as string,
    })
  })
})

describe('what is no answer', () => {
  test.each([
    [200, '<!doctype html><title>Sign in</title>', 'web page'],
    [200, '', 'cannot be read as XML'],
    [200, `<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>${envelope('&y;')}`, 'a document type'],
    [503, '', 'disabled'],
    [503, '<html><body>Service unavailable</body></html>', 'disabled'],
    [500, 'oops', 'status 500'],
    [404, '', 'no such endpoint'],
    [401, '', 'status 401'],
  ])('%i %.30j', async (status, body, detail) => {
    expect(await resultOf(status, body)).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining(detail) as string,
    })
  })

  test('a redirect is not followed', async () => {
    const before = requests
    expect(await resultOf(307, '', { location: 'https://login.example.com/?secret=1' })).toMatchObject({
      detail: expect.stringMatching(/redirect to login\.example\.com \(307\)/) as string,
    })
    expect(requests).toBe(before + 1)
  })

  test('50 MB', async () => {
    expect(await resultOf(200, Buffer.alloc(50 * 1024 * 1024, '<a>'))).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('more than 1048576 bytes') as string,
    })
  })

  test('nobody there', async () => {
    const result = await checkPassword({
      endpoint: 'http://127.0.0.1:1/',
      appliesTo: 'x',
      userName: 'a',
      password: PASSWORD,
      http,
      clock: systemClock,
    })
    expect(result).toMatchObject({ reason: 'directory_unavailable' })
  })
})

describe('MEX documents', () => {
  const mex = (changes: { address?: string; action?: string; token?: string } = {}) => {
    const {
      address = 'https://fs.example.com/t',
      action = ISSUE_ACTION,
      token = 'WssUsernameToken10',
    } = changes
    return `<w:definitions xmlns:w="${NS.wsdl}" xmlns:s="${NS.wsdlSoap12}" xmlns:p="${NS.wsp}" xmlns:a="${NS.wsa}" xmlns:u="${NS.wsu}" xmlns:sp="${NS.sp}"><p:Policy u:Id="one"><sp:TransportBinding/><sp:SignedEncryptedSupportingTokens><p:Policy><sp:UsernameToken><p:Policy><sp:${token}/></p:Policy></sp:UsernameToken></p:Policy></sp:SignedEncryptedSupportingTokens></p:Policy><w:binding name="B"><p:PolicyReference URI="#one"/><w:operation name="I"><s:operation soapAction="${action}"/></w:operation></w:binding><w:service><w:port name="P" binding="x:B" xmlns:x="urn:x"><a:EndpointReference><a:Address>${address}</a:Address></a:EndpointReference></w:port></w:service></w:definitions>`
  }
  const discover = (body: string, path: string, status = 200) => {
    reply = { status, body }
    return discoverEndpoint({ url: url + path, http })
  }

  test('wherever they are', async () => {
    const found = { ok: true, endpoint: 'https://fs.example.com/t', source: 'mex' }
    expect(await discover(mex(), '/adfs/services/trust/mex')).toEqual(found)
    expect(await discover(mex(), '/metadata?wsdl')).toEqual(found)
    expect(await discover(`<m:Metadata xmlns:m="urn:m">${mex()}</m:Metadata>`, '/mex/')).toEqual(found)
  })

  test.each([
    [mex({ address: 'http://fs.example.com/t' }), 'not https'],
    [mex({ action: 'http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue' }), 'names no endpoint'],
    [mex({ token: 'WssX509V3Token10' }), 'names no endpoint'],
    ['<html/>', 'names no endpoint'],
    ['oops', 'cannot be read as XML'],
  ])('%#: %s', async (body, detail) => {
    expect(await discover(body, '/mex')).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining(detail) as string,
    })
  })

  test.each([
    ['https', 'https://fs.example.com/t', true],
    ['https', 'http://fs.example.com/t', false],
    ['https', 'http://127.0.0.1:8080/t', false],
    ['https', 'http://localhost/t', false],
    ['https', 'http://[::1]/t', false],
    ['https', 'ftp://127.0.0.1/t', false],
    ['https', 'HTTP://127.0.0.1/t', false],
    ['https', 'not an address', false],
    ['http', 'http://127.0.0.1:8080/t', true],
    ['http', 'https://fs.example.com/t', true],
    ['http', 'http://127.0.0.1.example.com/t', false],
  ])('one read over %s may lead to %s: %s', async (protocol, address, isAllowed) => {
    const body = Buffer.from(mex({ address }))
    const seen = { request: async () => ({ status: 200, headers: {}, body }), close: () => undefined }
    const found = await discoverEndpoint({ url: `${protocol}://127.0.0.1/mex`, http: seen })
    expect(found).toMatchObject(
      isAllowed ? { ok: true, endpoint: address } : { ok: false, reason: 'directory_unavailable' },
    )
  })

  test('an address where no WSDL is, is the endpoint itself', async () => {
    const given = { ok: true, endpoint: `${url}/sts`, source: 'given' }
    expect(await discover('', '/sts', 405)).toEqual(given)
    expect(await discover('<html/>', '/sts')).toEqual(given)
    expect(await discover('hello', '/sts')).toEqual(given)
  })
})
