import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSignatureVerifier } from '../../src/protocol/cms/index.ts'
import { addTime } from '../../src/kernel/clock.ts'
import { parsePlist } from '../../src/protocol/plist/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityServer, PUBLIC_URL, TOPIC, type IdentityServer } from '../support/identity-server.ts'
import { scepRequest } from '../support/scep-client.ts'
import { ACT } from '../support/act.ts'

const verify = createSignatureVerifier({ cacheSize: 10 })

interface Payload {
  PayloadType: string
  PayloadIdentifier: string
  PayloadUUID: string
  PayloadContent: Payload[] & Record<string, unknown>
  [key: string]: unknown
}

describeEachEngine('enrollment links', (database) => {
  let server: IdentityServer
  beforeAll(async () => {
    server = await identityServer(database())
    await server.users.create(
      {
        user_name: 'Ada',
        display_name: 'Ada',
        email: null,
        password: null,
        device_limit: null,
        enrollment_manager: false,
        disabled: false,
        must_change_password: false,
        password_expires_at: null,
      },
      ACT,
    )
  })
  afterAll(() => server.close())

  const api = (method: 'GET' | 'POST' | 'DELETE', path: string, payload?: object, role = 'operator') =>
    server.http.operator.inject({
      method,
      url: `/api/v1${path}`,
      headers: { authorization: `Bearer ${role}` },
      ...(payload && { payload }),
    })
  const create = async (fields: object = {}) => {
    const answer = await api('POST', '/enrollment-links', fields)
    expect(answer.statusCode).toBe(201)
    return answer.json<{
      id: string
      url: string
      user_name: string | null
      expires_at: string
      used: number
    }>()
  }
  const fetchLink = (url: string, method: 'GET' | 'HEAD' = 'GET') =>
    server.http.main.inject({ method, url: url.slice(PUBLIC_URL.length) })
  const attemptsOf = async (linkId: string) =>
    (await server.attempts.list({ limit: 100 })).filter(({ link_id }) => link_id === linkId)

  test('by default it is for one device and seven days, and its address is a secret', async () => {
    const link = await create()
    expect(link).toMatchObject({ uses: 1, used: 0, revoked_at: null, user_name: null })
    expect(link.url).toMatch(/^https:\/\/mdm\.example\.com\/enroll\/link\/[\w-]{32}$/)
    expect(new Date(link.expires_at)).toEqual(addTime(server.clock.now(), 7, 'day'))
    expect((await api('GET', `/enrollment-links/${link.id}`)).json()).toEqual(link)
    const key = link.url.split('/').at(-1)!
    expect(server.logText()).not.toContain(key)
    const rows = await database().kysely.selectFrom('enrollment_links').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(key)
    const seen = (await api('GET', '/enrollment-links', undefined, 'viewer')).json<{
      items: { url: null }[]
    }>()
    expect(seen.items.map(({ url }) => url)).toEqual(seen.items.map(() => null))
  })

  test.each([
    [{ user_name: 'nobody' }, 'user_name'],
    [{ user_name: 'nul\0' }, 'U+0000'],
    [{ group_id: 'nowhere' }, 'group_id'],
    [{ expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    [{ expires_at: 'tomorrow' }, 'expires_at'],
    [{ uses: 0 }, 'uses'],
    [{ uses: 1.5 }, 'uses'],
    [{ color: 'red' }, 'color'],
  ])('%j is refused, naming the field', async (fields, name) => {
    const answer = await api('POST', '/enrollment-links', fields)
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'invalid_request' })
    expect(answer.body).toContain(name)
  })

  test('the list goes on without gap; a revoked one is kept', async () => {
    const ids: string[] = []
    for (let count = 0; count < 3; count++) {
      server.clock.advance(1, 'second')
      ids.push((await create({ user_name: 'ADA', uses: 2 })).id)
    }
    const first = (await api('GET', '/enrollment-links?limit=2')).json<{
      items: { id: string }[]
      next_cursor: string
    }>()
    expect(first.items.map(({ id }) => id)).toEqual([ids[2], ids[1]])
    expect(first.items[0]).toMatchObject({ user_name: 'Ada' })
    const next = (await api('GET', `/enrollment-links?limit=1&cursor=${first.next_cursor}`)).json<{
      items: { id: string }[]
    }>()
    expect(next.items[0]?.id).toBe(ids[0])
    expect((await api('DELETE', `/enrollment-links/${ids[0]}`)).statusCode).toBe(204)
    expect((await api('DELETE', `/enrollment-links/${ids[0]}`)).statusCode).toBe(204)
    expect((await api('GET', `/enrollment-links/${ids[0]}`)).json()).toMatchObject({
      revoked_at: server.clock.now().toISOString(),
    })
    expect((await api('DELETE', '/enrollment-links/unknown')).statusCode).toBe(404)
    expect((await api('GET', '/enrollment-links/unknown')).statusCode).toBe(404)
    expect((await api('DELETE', `/enrollment-links/${ids[1]}`, undefined, 'viewer')).statusCode).toBe(403)
  })

  /** Fetches the profile and reads it, its signature checked. */
  async function profileOf(url: string) {
    const answer = await fetchLink(url)
    expect(answer.statusCode).toBe(200)
    const signed = verify(answer.rawPayload)
    const profile = parsePlist(signed.content!) as unknown as Payload
    const [scep, mdm] = profile.PayloadContent
    return { answer, signed, profile, scep: scep!, mdm: mdm! }
  }

  test('each fetch gives a signed profile of its own with the same identifier', async () => {
    const { url, id } = await create({ user_name: 'ada' })
    const first = await profileOf(url)
    const second = await profileOf(url)
    expect(first.answer.headers).toMatchObject({
      'content-type': 'application/x-apple-aspen-config',
      'cache-control': 'no-store',
      'content-disposition': 'attachment; filename="enrollment.mobileconfig"',
    })
    const { problem } = await server.identity.identify(first.signed.signer.der, server.clock.now())
    expect(problem).toBeUndefined()
    expect(second.profile.PayloadIdentifier).toBe(first.profile.PayloadIdentifier)
    expect(second.profile.PayloadIdentifier).toBe('firstboot.instance-1.enrollment')
    expect(second.profile.PayloadUUID).not.toBe(first.profile.PayloadUUID)
    expect(first.mdm).toMatchObject({
      PayloadType: 'com.apple.mdm',
      IdentityCertificateUUID: first.scep.PayloadUUID,
      Topic: TOPIC,
      ServerURL: `${PUBLIC_URL}/mdm/connect`,
      CheckInURL: `${PUBLIC_URL}/mdm/checkin`,
      SignMessage: true,
      CheckOutWhenRemoved: true,
    })
    expect(first.scep.PayloadContent).toMatchObject({
      URL: `${PUBLIC_URL}/scep`,
      'Key Type': 'RSA',
      KeyIsExtractable: false,
    })
    expect(first.scep.PayloadContent['Challenge']).not.toBe(second.scep.PayloadContent['Challenge'])
    expect(await attemptsOf(id)).toEqual([])
    expect((await api('GET', `/enrollment-links/${id}`)).json()).toMatchObject({ used: 0 })
  })

  test('the challenge of a profile gets the certificate of its attempt', async () => {
    const { url, id } = await create({ user_name: 'ada' })
    const { scep } = await profileOf(url)
    const challenge = String(scep.PayloadContent['Challenge'])
    const { certificate } = await scepRequest(server, { challenge })
    const fingerprint = Buffer.from(certificate!.fingerprint, 'hex')
    const [attempt, ...others] = await attemptsOf(id)
    expect(others).toEqual([])
    expect(attempt).toMatchObject({ way: 'link', outcome: 'in_progress', user_name: 'Ada', link_id: id })
    expect(attempt?.timeline.map(({ step }) => step)).toEqual(['certificate'])
    expect(await server.eventsOf(attempt!.id, 'enrollment.started')).toMatchObject([
      { user_name: 'Ada', data: { way: 'link' } },
    ])
    const issued = await server.issued(fingerprint)
    expect(issued?.attempt_id).toBe(attempt?.id)
    expect(server.logText()).not.toContain(challenge)
  })

  /** That a fetch is an empty 403, with the reason for administrators alone. */
  async function expectRefused(link: { id: string; url: string }, reason: string) {
    const answer = await fetchLink(link.url)
    expect(answer.statusCode).toBe(403)
    expect(answer.rawPayload).toHaveLength(0)
    expect(JSON.stringify(answer.headers)).not.toContain(reason)
    expect(await attemptsOf(link.id)).toEqual([])
    expect(server.logged('enrollment.rejected', { reason, link_id: link.id })).toBe(true)
    expect(await server.counted('enrollment.rejected', reason)).toBeGreaterThan(0)
    await server.strangers.tellDue()
    const told = await server.db.kysely
      .selectFrom('event_outbox')
      .selectAll()
      .where('reason', '=', reason)
      .execute()
    expect(told).toMatchObject([{ type: 'enrollment.rejected', data: { count: 1, link_ids: [link.id] } }])
  }

  test('a revoked, expired or used-up link gives no profile', async () => {
    const revoked = await create()
    await api('DELETE', `/enrollment-links/${revoked.id}`)
    await expectRefused(revoked, 'link_revoked')
    const usedUp = await create()
    const take = () => server.db.transaction((trx) => server.links.takeUse(trx, usedUp.id))
    expect(await take()).toBe('taken')
    expect(await take()).toBe('link_used_up')
    await expectRefused(usedUp, 'link_used_up')
    const expired = await create({ expires_at: addTime(server.clock.now(), 1, 'minute').toISOString() })
    server.clock.advance(1, 'minute')
    await expectRefused(expired, 'link_expired')
    expect(await server.db.transaction((trx) => server.links.takeUse(trx, expired.id))).toBe('link_expired')
    expect(await server.db.transaction((trx) => server.links.takeUse(trx, revoked.id))).toBe('link_revoked')
  })

  test('a use that was taken in a transaction that failed is free again', async () => {
    const link = await create()
    const failed = server.db.transaction(async (trx) => {
      await server.links.takeUse(trx, link.id)
      throw new Error('refused for another reason')
    })
    await expect(failed).rejects.toThrow('refused for another reason')
    expect(await server.db.transaction((trx) => server.links.takeUse(trx, link.id))).toBe('taken')
  })

  test('without a push certificate, or for a disabled user, there is no profile either', async () => {
    const link = await create({ user_name: 'ada' })
    server.push.topic = null
    await expectRefused(link, 'push_certificate_missing')
    server.push.topic = TOPIC
    const user = await server.users.findByName(server.db.kysely, 'ada')
    await server.users.update(user!.id, { disabled: true }, ACT)
    await expectRefused(link, 'user_disabled')
  })

  test('an unknown key is a 404 without an attempt, and guessing is slowed down', async () => {
    const before = (await server.attempts.list({ limit: 1000 })).length
    const guess = () => fetchLink(`${PUBLIC_URL}/enroll/link/guess`)
    expect((await guess()).statusCode).toBe(404)
    expect(server.logged('enrollment.rejected', { reason: 'unknown_key' })).toBe(true)
    expect(await server.counted('enrollment.rejected', 'unknown_key')).toBeGreaterThan(0)
    const statuses = await Promise.all(Array.from({ length: 25 }, async () => (await guess()).statusCode))
    expect(statuses).toContain(429)
    expect(await server.counted('enrollment.rejected', 'too_many_failures')).toBeGreaterThan(0)
    const link = await create()
    expect((await fetchLink(link.url)).statusCode).toBe(200)
    expect((await server.attempts.list({ limit: 1000 })).length).toBe(before)
  })

  test('a look by HEAD makes no challenge', async () => {
    const link = await create()
    expect((await fetchLink(link.url, 'HEAD')).statusCode).toBeGreaterThanOrEqual(400)
    expect(await challengesOf(link.id)).toEqual([])
  })

  test('whoever fetches a link for ever fills nothing', async () => {
    const link = await create()
    const oldest = String((await profileOf(link.url)).scep.PayloadContent['Challenge'])
    server.clock.advance(1, 'second')
    const user = undefined
    await server.db.transaction((trx) =>
      server.identity.newLinkChallenges(
        trx,
        Array.from({ length: 999 }, (_, n) => ({ attemptId: `attempt-${n}`, linkId: link.id, user })),
      ),
    )
    expect(await challengesOf(link.id)).toHaveLength(1000)
    server.clock.advance(1, 'second')
    const newest = String((await profileOf(link.url)).scep.PayloadContent['Challenge'])
    expect(await challengesOf(link.id)).toHaveLength(1000)
    expect((await scepRequest(server, { challenge: oldest })).certRep?.status).toBe('FAILURE')
    expect((await scepRequest(server, { challenge: newest })).certRep?.status).toBe('SUCCESS')
    server.clock.advance(2, 'day')
    await server.identity.deleteOldChallenges()
    expect(await challengesOf(link.id)).toHaveLength(1)
  })

  test('a challenge that came too late begins no attempt', async () => {
    const link = await create()
    const challenge = String((await profileOf(link.url)).scep.PayloadContent['Challenge'])
    server.clock.advance(15, 'minute')
    expect((await scepRequest(server, { challenge })).certRep?.status).toBe('FAILURE')
    expect(server.logged('certificate.refused', { reason: 'challenge_expired' })).toBe(true)
    await server.strangers.tellDue()
    const told = await server.db.kysely
      .selectFrom('event_outbox')
      .select(['type', 'data'])
      .where('reason', '=', 'challenge_expired')
      .execute()
    expect(told).toMatchObject([
      { type: 'certificate.refused', data: { ways: ['link'], link_ids: [link.id], count: 1 } },
    ])
    expect(await attemptsOf(link.id)).toEqual([])
  })

  const challengesOf = (linkId: string) =>
    server.db.kysely.selectFrom('scep_challenges').select('hash').where('link_id', '=', linkId).execute()

  test('an attempt is told with its timeline, an unknown one is not found', async () => {
    const [attempt] = await server.attempts.list({ limit: 1 })
    const told = await api('GET', `/enrollment-attempts/${attempt!.id}`, undefined, 'viewer')
    expect(told.json()).toMatchObject({
      id: attempt!.id,
      timeline: [{ step: 'certificate', outcome: 'passed' }],
    })
    expect((await api('GET', '/enrollment-attempts/unknown')).statusCode).toBe(404)
    expect((await api('GET', '/enrollment-attempts/%00')).statusCode).toBe(400)
    expect((await api('GET', '/enrollment-attempts?colour=red')).statusCode).toBe(400)
    expect((await api('GET', '/enrollment-attempts?outcome=maybe')).statusCode).toBe(400)
    expect((await api('GET', '/enrollment-attempts?cursor=nonsense')).statusCode).toBe(400)
  })
})
