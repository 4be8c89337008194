import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { sealServerToken } from '../../../src/protocol/ade/index.ts'
import { parseCertificate, readPem } from '../../../src/protocol/x509/index.ts'
import { adeWorld, type AdeWorld } from '../../support/ade-world.ts'
import { describeEachEngine } from '../../support/database.ts'

// The limit is for what hangs, not for a busy machine.

const DAY = 24 * 60 * 60_000
const BINARY = { 'content-type': 'application/octet-stream' }

const certificateOf = (pem: string) => parseCertificate(readPem(pem)[0]!.der)

/** A token as Apple's portal would give it, with anything about it different. */
function tokenFor(pem: string, token: { consumerKey?: string; expiresAt?: Date }, now: Date): Buffer {
  const whole = {
    ...{ consumerKey: 'CK_one', consumerSecret: 'CS', accessToken: 'AT', accessSecret: 'AS' },
    ...{ expiresAt: new Date(now.getTime() + 365 * DAY), ...token },
  }
  return Buffer.from(sealServerToken(whole, certificateOf(pem)))
}

/** What is stored of a server, apart from which process looks after it at the moment. */
async function stored(world: AdeWorld, id: string) {
  const { worker: _worker, worker_until: _until, ...row } = await world.ade.parts.servers.get(id)
  return row
}

async function pemOf(world: AdeWorld, id: string): Promise<string> {
  return (await world.ade.parts.servers.encryptionKey(id)).pem
}

describeEachEngine('ADE servers', (database) => {
  test('are made with a key, which stays the same until a new one is asked for', async () => {
    const world = await adeWorld(database())
    const { call, http } = await world.api()
    const made = await call('POST', '/ade-servers', { name: 'Zürich / Nord' })
    expect([made.status, made.body.sync.can_start, made.body.has_token]).toEqual([201, false, false])
    const path = `/api/v1/ade-servers/${made.body.id}/encryption-key`
    const headers = { authorization: 'Bearer the-admin-token-of-these-tests-0123456789' }
    const first = await http.operator.inject({ url: path, headers })
    expect(first.headers['content-type']).toBe('application/x-pem-file')
    expect(first.headers['content-disposition']).toBe('attachment; filename="Z-rich-Nord.pem"')
    expect(certificateOf(first.body).subject).toBeDefined()
    expect((await http.operator.inject({ url: path, headers })).body).toBe(first.body)
    expect((await call('POST', `/ade-servers/${made.body.id}/encryption-key`)).body.key_staged).toBe(true)
    expect((await http.operator.inject({ url: path, headers })).body).not.toBe(first.body)

    expect((await call('POST', '/ade-servers', { name: 'Zürich / Nord' })).status).toBe(409)
    const stale = await call('PATCH', `/ade-servers/${made.body.id}`, { name: 'Z' }, { 'if-match': '"1"' })
    expect(stale.status).toBe(412)
    expect((await call('PATCH', `/ade-servers/${made.body.id}`, { name: 'Z' })).body.name).toBe('Z')
    expect((await call('GET', '/ade-servers')).body.items).toMatchObject([{ name: 'Z' }])
    expect((await call('POST', `/ade-servers/${made.body.id}/syncs`)).body.code).toBe('conflict')
    expect((await call('GET', '/ade-servers/none')).status).toBe(404)
  })

  test('a staged key takes over when a token made for it comes, and not before', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const { tokens, servers } = world.ade.parts
    const old = await pemOf(world, id)
    await servers.stageKey(id, world.by)
    const staged = await pemOf(world, id)
    const put = (file: Buffer) => tokens.store(id, { file, force: false }, world.by)
    await put(world.fake.portal.renew('Zurich', { certificatePem: old }))
    expect(await pemOf(world, id)).toBe(staged)
    const server = await put(world.fake.portal.renew('Zurich', { certificatePem: staged }))
    expect(server).toMatchObject({ staged_certificate: null, apple_id: 'admin@example.com' })
    expect(await pemOf(world, id)).toBe(staged)
    await expect(put(world.fake.portal.renew('Zurich', { certificatePem: old }))).rejects.toMatchObject({
      code: 'token_for_another_key',
    })
    const last = world.fake.portal.renew('Zurich', { certificatePem: staged })
    await put(last)
    expect(await world.sync(id)).toMatchObject({ kind: 'incremental', state: 'succeeded' })
  })

  test('tokens are refused with a reason of their own, and change nothing', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const { call } = await world.api()
    const pem = await pemOf(world, id)
    const now = world.clock.now()
    const before = await stored(world, id)
    const put = async (file: Buffer, query = '') => {
      const answer = await call('PUT', `/ade-servers/${id}/token${query}`, file, BINARY)
      return [answer.status, answer.body.code]
    }
    const key = before.consumer_key!
    const stranger = readFileSync('test/fixtures/keys/ca.pem')
    expect(await put(Buffer.from('<html>no token</html>'))).toEqual([422, 'token_not_smime'])
    expect(await put(stranger)).toEqual([422, 'token_not_smime'])
    expect(await put(Buffer.alloc(0))).toEqual([422, 'token_not_smime'])
    const other = await world.ade.parts.servers.create('Other', world.by)
    const forOther = tokenFor(await pemOf(world, other.id), { consumerKey: key }, now)
    expect(await put(forOther)).toEqual([422, 'token_for_another_key'])
    expect(await put(tokenFor(pem, { consumerKey: '' }, now))).toEqual([422, 'token_incomplete'])
    const expired = { consumerKey: key, expiresAt: new Date(now.getTime() - 1_000) }
    expect(await put(tokenFor(pem, expired, now), '?force=true')).toEqual([422, 'token_expired'])
    expect(await put(tokenFor(pem, { consumerKey: 'CK_two' }, now))).toEqual([409, 'token_of_another_server'])
    const right = tokenFor(pem, { consumerKey: key }, now)
    expect(await put(right, '?apple_id=else@example.com')).toEqual([409, 'token_of_another_apple_id'])
    expect(await stored(world, id)).toEqual(before)
    expect(await put(right, '?apple_id=ADMIN@example.com')).toEqual([200, undefined])
    expect(await put(right, '?apple_id=else@example.com&force=true')).toEqual([200, undefined])
    const after = await world.ade.parts.servers.get(id)
    expect(after).toMatchObject({ apple_id: 'else@example.com', cursor: before.cursor })
    expect(after.last_full_sync_started_at).toEqual(before.last_full_sync_started_at)
  })

  test("a token of another of Apple's servers, forced, begins everything anew", async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A', 'B'])
    await world.first.reconcile()
    const certificatePem = await pemOf(world, id)
    const file = world.fake.portal.addServer({ name: 'Bern', certificatePem })
    world.clock.advance(DAY)
    world.fake.portal.moveDevice('B', 'Bern')
    await world.ade.parts.tokens.store(id, { file, force: true }, world.by)
    await world.first.idle()
    expect((await world.device('A')).state).toBe('removed')
    // What the new server has to be told may be under way already.
    expect(await world.device('B')).toMatchObject({
      state: 'not_contacted',
      assignment_state: expect.stringMatching(/^(pending|assigned)$/),
    })
    const runs = await database().kysely.selectFrom('ade_syncs').selectAll().orderBy('id', 'desc').execute()
    // That A is gone may be found out by an assignment that is under way, before the sync comes to it.
    expect(runs[0]).toMatchObject({
      ...{ kind: 'full', trigger: 'first_token', seen: 1 },
      removed: expect.toSatisfy((removed: number) => removed <= 1),
    })
    await world.first.reconcile()
    expect((await world.device('B')).assignment_state).toBe('assigned')
    expect(world.fake.violations).toEqual([])
  })

  test('a token that Apple rejects stops the server until a new one comes', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const certificatePem = await pemOf(world, id)
    const file = world.fake.portal.renew('Zurich', { certificatePem })
    world.clock.advance(DAY)
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'token_rejected' })
    const { call } = await world.api()
    const stopped = await call('GET', `/ade-servers/${id}`)
    expect(stopped.body).toMatchObject({
      stopped_reason: 'token_rejected',
      what_to_do: expect.stringContaining('new one'),
    })
    await world.ade.parts.tokens.store(id, { file, force: false }, world.by)
    const { body } = await call('GET', `/ade-servers/${id}`)
    expect([body.stopped_reason, body.what_to_do]).toEqual([null, null])
    world.clock.advance(1_000)
    await world.ade.runSyncs()
    await world.first.idle()
    expect((await call('GET', `/ade-servers/${id}`)).body.sync.last).toMatchObject({
      state: 'succeeded',
      trigger: 'schedule',
    })
    world.fake.portal.removeServer('Zurich')
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'access_denied' })
  })

  test('are warned of before their token expires, once a threshold for all processes', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich')
    const other = world.process()
    const warnings = () =>
      [...world.first.emitted, ...other.emitted].flatMap(({ type, reason }) =>
        type === 'ade_server.token_expiring' ? [reason] : [],
      )
    const expiresAt = (await world.ade.parts.servers.get(id)).token_expires_at!
    for (const days of [31, 30, 20, 14, 7, 1, 0]) {
      world.clock.advance(expiresAt.getTime() - days * DAY - world.clock.now().getTime())
      await Promise.all([world.ade.sweepExpiry(), other.ade.sweepExpiry()])
    }
    expect(warnings().toSorted()).toEqual(['14_days', '1_days', '30_days', '7_days', 'expired'])
  })

  test('with devices are forgotten only when forced; these stay as removed', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const { call } = await world.api()
    const refused = await call('DELETE', `/ade-servers/${id}`)
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict'])
    expect(refused.body.detail).toContain('1 devices')
    expect((await call('DELETE', `/ade-servers/${id}?force=true`)).status).toBe(204)
    expect(await world.device('A')).toMatchObject({ state: 'removed', ade_server_id: null })
    const policy = await call('PUT', `/ade-servers/${id}/default-policy`, { policy_id: null })
    expect(policy.status).toBe(404)
  })
})
