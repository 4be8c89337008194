import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parsePkiMessage } from '../../src/protocol/scep/index.ts'
import { createCsr, type Certificate, type Identity } from '../../src/protocol/x509/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityServer, type IdentityServer } from '../support/identity-server.ts'
import { testKey } from '../support/keys.ts'
import { caOf, momentary, scepRequest, type ScepRequest } from '../support/scep-client.ts'

const fingerprint = (certificate: Certificate) => Buffer.from(certificate.fingerprint, 'hex')

describeEachEngine('SCEP', (database) => {
  let server: IdentityServer
  beforeAll(async () => {
    server = await identityServer(database())
  })
  afterAll(() => server.close())

  const get = (query: string) => server.http.main.inject({ url: `/scep?${query}` })
  const timelineOf = async (id: string) => (await server.attempts.get(id))?.timeline ?? []

  /** A bound identity: issued for an attempt and made that of an enrollment. */
  async function enrolled(enrollmentId: string): Promise<Identity> {
    const { challenge } = await server.challengeFor()
    const { certificate } = await scepRequest(server, { challenge })
    await server.db.transaction((trx) =>
      server.identity.bind(trx, { enrollmentId, fingerprint: fingerprint(certificate!), renewal: false }),
    )
    return { certificate: certificate!, key: testKey('device') }
  }

  test('it says what it can do and which CA it is, whatever name is asked for', async () => {
    const capabilities = await get('operation=GetCACaps&message=anything')
    expect(capabilities.headers['content-type']).toMatch(/^text\/plain/)
    const keywords = capabilities.body.trim().split('\n')
    expect(keywords).toEqual(
      expect.arrayContaining(['Renewal', 'SHA-256', 'AES', 'DES3', 'POSTPKIOperation']),
    )
    expect(keywords).not.toContain('SHA-1')
    const ca = await get('operation=GetCACert')
    expect(ca.headers['content-type']).toBe('application/x-x509-ca-cert')
    expect(ca.rawPayload).toEqual(server.identity.caCertificate())
    expect((await caOf(server)).subject.map(({ value }) => value)).toEqual(['Acme', 'Test CA'])
  })

  test.each([
    ['operation=GetNextCACert', 404],
    ['operation=getcacert', 200],
    ['Operation=GETCACAPS', 200],
    ['operation=GetCACert&OPERATION=GetCACaps', 400],
    ['operation=Nonsense', 400],
    ['operation=GetCACert&operation=GetCACaps', 400],
    ['', 400],
    ['operation=PKIOperation', 400],
    ['operation=PKIOperation&message=%21%21', 400],
    ['operation=PKIOperation&message=MIIB', 400],
  ])('GET ?%s is answered %i', async (query, status) => {
    expect((await get(query)).statusCode).toBe(status)
  })

  test('what is no message is a 400, with a reason in the log', async () => {
    for (const payload of [Buffer.alloc(0), Buffer.from('nonsense'), Buffer.alloc(60_000, 0x30)]) {
      const answer = await server.http.main.inject({
        method: 'POST',
        url: '/scep?operation=PKIOperation',
        payload,
      })
      expect(answer.statusCode).toBe(400)
    }
    expect(server.logged('message.refused', { reason: 'cms_invalid' })).toBe(true)
  })

  test('a right challenge gets a certificate for the key, with a subject of our choice', async () => {
    const { attemptId, challenge } = await server.challengeFor({ serial_number: 'SERIAL1' })
    const { response, certRep, certificate } = await scepRequest(server, {
      challenge,
      transactionId: 'TX-42',
    })
    expect(response.headers['content-type']).toBe('application/x-pki-message')
    expect(certRep).toMatchObject({ status: 'SUCCESS', transactionId: 'TX-42' })
    expect(certRep?.signer.fingerprint).toBe((await caOf(server)).fingerprint)
    expect(
      certificate?.publicKey().equals((await momentary(testKey('device'))).certificate.publicKey()),
    ).toBe(true)
    expect(certificate?.subject.map(({ value }) => value)).toEqual(['Firstboot', 'SERIAL1', attemptId])
    expect(certificate?.extendedKeyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(certificate?.isCa).toBe(false)
    const days = (certificate!.notAfter.getTime() - server.clock.now().getTime()) / 86_400_000
    expect(days).toBe(365)
    expect((await timelineOf(attemptId)).at(-1)).toMatchObject({ step: 'certificate', outcome: 'passed' })
    expect(await server.eventsOf(attemptId, 'certificate.issued')).toMatchObject([
      { serial_number: 'SERIAL1' },
    ])
    const issued = await server.issued(fingerprint(certificate!))
    expect(issued).toMatchObject({ attempt_id: attemptId, enrollment_id: null })
    expect(await server.identity.bindings(server.db.kysely, fingerprint(certificate!))).toEqual([])
    expect(server.logText()).not.toContain(challenge)
  })

  const oddities: [string, ScepRequest][] = [
    ['POST of octets', { by: 'octets' }],
    ['GET', { by: 'get' }],
    ['GET with plus signs that became spaces', { by: 'get-spaces' }],
    ['GET in the URL-safe alphabet without padding', { by: 'get-url-safe' }],
    ['a nonce of 8 bytes', { senderNonce: Buffer.from('8bytes!!') }],
    ['a nonce of 16 bytes', { senderNonce: Buffer.alloc(16, 5) }],
    ['SHA-1', { hash: 'sha1' }],
    ['SHA-512', { hash: 'sha512' }],
    ['triple DES', { cipher: 'des-ede3-cbc' }],
    ['AES-256', { cipher: 'aes-256-cbc' }],
    ['single DES and SHA-1, as old clients send', { cipher: 'des-cbc', hash: 'sha1' }],
  ]
  test.each(oddities)('%s is accepted', async (_name, request) => {
    const { challenge } = await server.challengeFor()
    const { certRep } = await scepRequest(server, { challenge, ...request })
    expect(certRep?.status).toBe('SUCCESS')
    if (request.senderNonce) expect(certRep?.recipientNonce).toEqual(request.senderNonce)
    const cipher = request.cipher ?? 'aes-128-cbc'
    expect(certRep?.cipher).toBe(cipher === 'des-cbc' ? 'des-ede3-cbc' : cipher)
    if (cipher === 'des-cbc')
      expect(server.logged('scep.old_algorithms', { cipher, digest: 'sha1' })).toBe(true)
  })

  test('the same key gets the same certificate again, whatever the transaction', async () => {
    const { attemptId, challenge } = await server.challengeFor()
    const first = await scepRequest(server, { challenge, transactionId: 'A' })
    const second = await scepRequest(server, { challenge, transactionId: 'A' })
    const third = await scepRequest(server, { challenge, transactionId: 'B' })
    expect(second.certificate?.fingerprint).toBe(first.certificate?.fingerprint)
    expect(third.certificate?.fingerprint).toBe(first.certificate?.fingerprint)
    expect(await server.eventsOf(attemptId, 'certificate.issued')).toHaveLength(1)
  })

  /** That a request fails with a reason everywhere where one is looked for, and leaves its attempt open. */
  async function expectRefusal(
    reason: string,
    request: ScepRequest,
    options: { attemptId?: string; failInfo?: string } = {},
  ): Promise<void> {
    const before = await server.counted('certificate.refused', reason)
    const { certRep } = await scepRequest(server, request)
    expect(certRep).toMatchObject({ status: 'FAILURE', failInfo: options.failInfo ?? 'badRequest' })
    expect(await server.counted('certificate.refused', reason)).toBe(before + 1)
    const { attemptId } = options
    if (attemptId === undefined) {
      expect(server.logged('certificate.refused', { reason })).toBe(true)
      return
    }
    expect((await timelineOf(attemptId)).at(-1)).toMatchObject({
      step: 'certificate',
      outcome: 'refused',
      reason,
    })
    expect((await server.eventsOf(attemptId, 'certificate.refused')).at(-1)).toMatchObject({ reason })
    expect(server.logged('certificate.refused', { reason, attempt_id: attemptId })).toBe(true)
    expect(await server.attempts.get(attemptId)).toMatchObject({ outcome: 'in_progress' })
  }

  test('an unknown, empty or missing challenge is challenge_invalid', async () => {
    await expectRefusal('challenge_invalid', { challenge: 'never given out' })
    await expectRefusal('challenge_invalid', { challenge: '' })
    await expectRefusal('challenge_invalid', {})
  })

  test('a challenge used for another key is challenge_used, and the first key still gets its certificate', async () => {
    const { attemptId, challenge } = await server.challengeFor({ serial_number: 'USED1' })
    const first = await scepRequest(server, { challenge })
    await expectRefusal(
      'challenge_used',
      { challenge, key: testKey('other'), transactionId: 'TX-1' },
      { attemptId },
    )
    const again = await scepRequest(server, { challenge })
    expect(again.certificate?.fingerprint).toBe(first.certificate?.fingerprint)
  })

  test('a challenge sent twice at the same moment with one key gives one certificate', async () => {
    const { attemptId, challenge } = await server.challengeFor({ serial_number: 'TWICE1' })
    const [first, second] = await Promise.all([
      scepRequest(server, { challenge, transactionId: 'A' }),
      scepRequest(server, { challenge, transactionId: 'B' }),
    ])
    expect(first.certificate).toBeDefined()
    expect(second.certificate?.fingerprint).toBe(first.certificate?.fingerprint)
    expect(await server.eventsOf(attemptId, 'certificate.issued')).toHaveLength(1)
    expect((await timelineOf(attemptId)).map(({ step }) => step)).toEqual(['certificate'])
  })

  test('a challenge sent twice at the same moment with two keys is challenge_used for one of them', async () => {
    const { attemptId, challenge } = await server.challengeFor({ serial_number: 'TWICE2' })
    const before = await server.counted('certificate.refused', 'challenge_used')
    const answers = await Promise.all([
      scepRequest(server, { challenge, key: testKey('device') }),
      scepRequest(server, { challenge, key: testKey('other') }),
    ])
    const statuses = answers.map(({ certRep }) => certRep?.status)
    expect(statuses.toSorted()).toEqual(['FAILURE', 'SUCCESS'])
    expect(await server.counted('certificate.refused', 'challenge_used')).toBe(before + 1)
    expect(await server.eventsOf(attemptId, 'certificate.issued')).toHaveLength(1)
    const timeline = await timelineOf(attemptId)
    expect(timeline.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ['passed', null],
      ['refused', 'challenge_used'],
    ])
  })

  test('of twenty challenges at the same moment each gets what it is worth', async () => {
    const expired = await server.challengeFor()
    server.clock.advance(15, 'minute')
    const voided = await server.challengeFor()
    await server.db.transaction((trx) => server.identity.voidChallenges(trx, voided.attemptId))
    const good = await Promise.all(
      Array.from({ length: 17 }, (_, n) => server.challengeFor({ serial_number: `MANY${n}` })),
    )
    const worthless = [expired.challenge, voided.challenge, 'never given out']
    const ask = (challenge: string) => scepRequest(server, { challenge })
    const [refused, answers] = await Promise.all([
      Promise.all(worthless.map(ask)),
      Promise.all(good.map(({ challenge }) => ask(challenge))),
    ])
    expect(refused.map(({ certRep }) => certRep?.failInfo)).toEqual(worthless.map(() => 'badRequest'))
    for (const [n, { attemptId }] of good.entries()) {
      const { certificate } = answers[n]!
      expect(certificate?.subject.map(({ value }) => value)).toEqual(['Firstboot', `MANY${n}`, attemptId])
      const issued = await server.issued(fingerprint(certificate!))
      expect(issued).toMatchObject({ attempt_id: attemptId, issued_at: server.clock.now() })
      expect(issued?.certificate).toEqual(certificate?.der)
      expect(await timelineOf(attemptId)).toMatchObject([{ step: 'certificate', outcome: 'passed' }])
    }
  })

  test('a voided challenge is challenge_invalid, even for the key that had used it', async () => {
    const { attemptId, challenge } = await server.challengeFor()
    await scepRequest(server, { challenge })
    await server.db.transaction((trx) => server.identity.voidChallenges(trx, attemptId))
    await expectRefusal('challenge_invalid', { challenge }, { attemptId })
  })

  test('after 15 minutes it is challenge_expired, used or not', async () => {
    const fresh = await server.challengeFor()
    const used = await server.challengeFor()
    await scepRequest(server, { challenge: used.challenge })
    server.clock.advance(15 * 60 - 1, 'second')
    expect((await scepRequest(server, { challenge: used.challenge })).certRep?.status).toBe('SUCCESS')
    server.clock.advance(1, 'second')
    await expectRefusal('challenge_expired', { challenge: used.challenge }, used)
    await expectRefusal('challenge_expired', { challenge: fresh.challenge }, fresh)
    server.clock.advance(31, 'day')
    await server.identity.deleteOldChallenges()
    await expectRefusal('challenge_invalid', { challenge: fresh.challenge })
  })

  test('weak, foreign and tampered requests are csr_rejected and use nothing up', async () => {
    const { attemptId, challenge } = await server.challengeFor()
    const subject = [['CN', 'x']] as const
    const right = await createCsr({ key: testKey('device'), subject, challengePassword: challenge })
    const tampered = Buffer.from(right)
    tampered[tampered.length - 1]! ^= 1
    const rsaSigner = await momentary(testKey('device'))
    for (const csr of [
      await createCsr({ key: testKey('weak'), subject, challengePassword: challenge }),
      await createCsr({ key: testKey('ec'), subject, challengePassword: challenge }),
      tampered,
    ]) {
      await expectRefusal('csr_rejected', { csr, signer: rsaSigner }, { attemptId })
    }
    expect((await scepRequest(server, { challenge })).certRep?.status).toBe('SUCCESS')
  })

  test('an envelope that cannot be opened, or holds no request, is badMessageCheck', async () => {
    const failInfo = 'badMessageCheck'
    await expectRefusal('csr_rejected', { csr: Buffer.from('no request') }, { failInfo })
    const momentaryOne = await momentary(testKey('device'))
    await expectRefusal('csr_rejected', { csr: momentaryOne.certificate.der }, { failInfo })
  })

  test('a message that was changed on the way is refused without an answer', async () => {
    const { challenge } = await server.challengeFor()
    for (const place of [0.3, 0.5, 0.9]) {
      const { response } = await scepRequest(server, {
        challenge,
        tamper: (message) => {
          const changed = Buffer.from(message)
          changed[Math.floor(changed.length * place)]! ^= 0x40
          return changed
        },
      })
      expect(response.statusCode).toBe(400)
    }
    expect((await scepRequest(server, { challenge })).certRep?.status).toBe('SUCCESS')
  })

  test('other kinds of message are refused politely', async () => {
    const { certRep } = await scepRequest(server, { type: 'CertPoll' })
    expect(certRep).toMatchObject({ status: 'FAILURE', failInfo: 'badRequest' })
  })

  test('a signer without an RSA key is refused before its challenge is used up', async () => {
    const { challenge } = await server.challengeFor()
    const csr = await createCsr({
      key: testKey('device'),
      subject: [['CN', 'x']],
      challengePassword: challenge,
    })
    const signer = await momentary(testKey('ec'))
    const { certRep } = await scepRequest(server, { csr, signer })
    expect(certRep).toMatchObject({ status: 'FAILURE', failInfo: 'badRequest' })
    expect((await scepRequest(server, { challenge })).certRep?.status).toBe('SUCCESS')
  })

  test.each(['RenewalReq', 'UpdateReq', 'PKCSReq'] as const)(
    'a %s signed by the identity of an enrollment gets a certificate of the same enrollment',
    async (type) => {
      const enrollmentId = `RENEW-${type}`
      const signer = await enrolled(enrollmentId)
      server.clock.advance(300, 'day')
      const { certificate } = await scepRequest(server, { type, signer, key: testKey('other') })
      expect(await server.identity.bindings(server.db.kysely, fingerprint(certificate!))).toEqual([
        { enrollment_id: enrollmentId, state: 'active', use: 'unused' },
      ])
      expect(await server.identity.bindings(server.db.kysely, fingerprint(signer.certificate))).toMatchObject(
        [{ state: 'active' }],
      )
      const again = await scepRequest(server, { type, signer, key: testKey('other'), transactionId: 'B' })
      expect(again.certificate?.fingerprint).toBe(certificate?.fingerprint)
    },
  )

  test('a renewal by a replaced, ended, expired, unbound or foreign certificate is badCertId', async () => {
    const renew = (signer: Identity) =>
      expectRefusal(
        'certificate_mismatch',
        { type: 'RenewalReq', signer, key: testKey('other') },
        { failInfo: 'badCertId' },
      )
    const first = await enrolled('REPLACED')
    await enrolled('REPLACED')
    await renew(first)
    const ended = await enrolled('ENDED')
    await server.db.transaction((trx) => server.identity.endAll(trx, 'ENDED'))
    await renew(ended)
    const { challenge } = await server.challengeFor()
    const { certificate } = await scepRequest(server, { challenge })
    await renew({ certificate: certificate!, key: testKey('device') })
    await renew(await momentary(testKey('device')))
    const expiring = await enrolled('EXPIRED')
    server.clock.advance(366, 'day')
    await renew(expiring)
  })

  test('a challenge for an enrollment renews it, until the enrollment has ended', async () => {
    await enrolled('BY-CHALLENGE')
    const create = () =>
      server.db.transaction((trx) => server.identity.newChallenge(trx, { enrollmentId: 'BY-CHALLENGE' }))
    const challenge = await create()
    const late = await create()
    const { certificate } = await scepRequest(server, { challenge, key: testKey('other') })
    expect(await server.identity.bindings(server.db.kysely, fingerprint(certificate!))).toEqual([
      { enrollment_id: 'BY-CHALLENGE', state: 'active', use: 'unused' },
    ])
    await server.db.transaction((trx) => server.identity.endAll(trx, 'BY-CHALLENGE'))
    await expectRefusal('challenge_invalid', { challenge: late, key: testKey('other') })
  })

  test('a new Authenticate replaces every earlier certificate, renewed ones too', async () => {
    const first = await enrolled('AGAIN')
    server.clock.advance(300, 'day')
    const { certificate: renewed } = await scepRequest(server, {
      type: 'RenewalReq',
      signer: first,
      key: testKey('other'),
    })
    const second = await enrolled('AGAIN')
    const stateOf = async (certificate: Certificate) =>
      (await server.identity.bindings(server.db.kysely, fingerprint(certificate)))[0]?.state
    expect(await stateOf(first.certificate)).toBe('replaced')
    expect(await stateOf(renewed!)).toBe('replaced')
    expect(await stateOf(second.certificate)).toBe('active')
  })

  test("a request of Debian's scepclient is read, though its challenge is none of ours", async () => {
    const payload = readFileSync(new URL('../fixtures/scep/scepclient-request.der', import.meta.url))
    const answer = await server.http.main.inject({
      method: 'POST',
      url: '/scep?operation=PKIOperation',
      payload,
    })
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-type']).toBe('application/x-pki-message')
    expect(parsePkiMessage(answer.rawPayload)).toMatchObject({ messageType: 'CertRep' })
  })
})
