import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writePlist } from '../../src/protocol/plist/index.ts'
import { createApnsCertificates, type Device } from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { basic, callNanomdm, plist, type NanomdmCall } from '../support/nanomdm-caller.ts'
import { identityOf } from '../support/half-enrolled.ts'

describeEachEngine("NanoMDM's API", (database) => {
  let world: TestApp
  let device: Device
  let other: Device
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    device = await world.enrolled()
    other = await world.enrolled()
    await world.introduced(device)
    await world.introduced(other)
  })
  afterAll(() => world.close())

  const call: NanomdmCall = (...given) => callNanomdm(world, ...given)
  const id = () => device.facts.udid

  test('asks for the user nanomdm and a token that may act', async () => {
    const paths = [`/v1/push/${id()}`, '/v1/pushcert', `/v1/queue/${id()}`] as const
    const { body: viewer } = await world.api('POST', '/api-tokens', { name: 'reader', role: 'viewer' })
    const { body: operator } = await world.api('POST', '/api-tokens', { name: 'actor', role: 'operator' })
    for (const path of paths) {
      const none = await call('GET', path, undefined, {})
      expect(none.status).toBe(401)
      for (const [authorization, status] of [
        [basic('wrong'), 401],
        [basic(ADMIN_TOKEN, 'micromdm'), 401],
        [`Bearer ${ADMIN_TOKEN}`, 401],
        [basic(viewer.secret), 403],
      ] as const)
        expect({ path, status: (await call('GET', path, undefined, { authorization })).status }).toEqual({
          path,
          status,
        })
    }
    const queue = `/v1/queue/${id()}`
    expect((await call('GET', queue, undefined, { authorization: basic(operator.secret) })).status).toBe(200)
    const unauthorized = await fetch(`${world.url}${queue}`)
    expect(unauthorized.headers.get('www-authenticate')).toMatch(/^Basic realm="nanomdm"/)
  })

  test('tells its version', async () => {
    for (const headers of [{}, { authorization: basic('wrong') }, { authorization: basic(ADMIN_TOKEN) }]) {
      const { status, type, body } = await call('GET', '/version', undefined, headers)
      expect({ status, type }).toEqual({ status: 200, type: 'application/json' })
      expect(body).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    }
  })

  test('pushes, by GET, POST and PUT', async () => {
    for (const method of ['GET', 'POST', 'PUT']) {
      const answer = await call(method, `/v1/push/${id()}`)
      expect(answer).toMatchObject({ status: 200, type: 'application/json' })
      expect(answer.body).toEqual({
        status: { [id()]: { push_result: expect.stringMatching(/^[0-9A-F-]{36}$/i) } },
      })
      expect(answer.text).toMatch(/^\{\n\t"status"/)
    }
    const some = await call('GET', `/v1/push/${id()},nobody`)
    expect(some.status).toBe(207)
    expect(some.body.status).toEqual({
      [id()]: { push_result: expect.any(String) },
      nobody: { push_error: 'push data missing for id' },
    })
    const none = await call('GET', '/v1/push/nobody,noone')
    expect(none.status).toBe(500)
    expect(Object.keys(none.body.status)).toEqual(['nobody', 'noone'])
  })

  test('queues a raw command, pushes, and says how that went', async () => {
    const uuid = randomUUID()
    const queued = await call('PUT', `/v1/enqueue/${id()},${other.facts.udid}`, plist(uuid))
    expect(queued.status).toBe(200)
    expect(queued.body).toEqual({
      status: {
        [id()]: { push_result: expect.any(String) },
        [other.facts.udid]: { push_result: expect.any(String) },
      },
      command_uuid: uuid,
      request_type: 'DeviceLock',
    })
    await device.poll()
    expect(device.results().at(-1)).toMatchObject({ commandUuid: uuid, status: 'Acknowledged' })
    await other.poll()

    const twice = await call('POST', `/v1/enqueue/${id()}`, plist(uuid))
    expect(twice.status).toBe(500)
    expect(twice.body.command_error).toMatch(/used before/)
    const some = await call('PUT', `/v1/enqueue/${id()},nobody`, plist(randomUUID()))
    expect(some.status).toBe(207)
    expect(some.body.status.nobody.command_error).toBeTypeOf('string')
    const none = await call('PUT', '/v1/enqueue/nobody', plist(randomUUID()))
    expect(none.status).toBe(500)
    await device.poll()
  })

  test('writes its JSON byte for byte as NanoMDM does', async () => {
    const told = await call('PUT', `/v1/enqueue/zed,${id()},Abe?nopush=1`, plist(randomUUID(), 'A&B'))
    expect(told.text).toMatch(
      /^\{\n\t"status": \{\n\t\t"Abe": \{\n\t\t\t"command_error": "[^"]+"\n\t\t\},\n\t\t"zed": .*"no_push": true,\n\t"command_uuid": .*"request_type": "A\\u0026B"\n\}\n$/s,
    )
    const certificate = await call('GET', `/v1/pushcert?topic=${TOPIC}`)
    expect(certificate.text).toMatch(/^\{\n\t"not_after": "[\dT:-]{19}Z",\n\t"topic": "[^"]+"\n\}\n$/)
    const refused = await call('GET', '/v1/pushcert')
    expect(refused).toMatchObject({ status: 404, type: 'application/json' })
    expect(refused.text).toMatch(/^\{\n\t"error": "[^"]+"\n\}\n$/)
    expect((await call('GET', '/version')).text).toMatch(/^\{"version":"[^"]+"\}$/)
    expect(await call('GET', `/v1/enqueue/${id()}`)).toMatchObject({ status: 200 })
    await device.poll()
  })

  test('an empty body only pushes, and nopush leaves that out', async () => {
    const pushes = world.apns.pushes.length
    const empty = await call('POST', `/v1/enqueue/${id()}`)
    expect(empty).toMatchObject({
      status: 200,
      body: { status: { [id()]: { push_result: expect.any(String) } } },
    })
    expect(empty.body).not.toHaveProperty('command_uuid')
    expect(world.apns.pushes.length).toBe(pushes + 1)
    await device.poll()

    const uuid = randomUUID()
    const quiet = await call('PUT', `/v1/enqueue/${id()}?nopush=1`, plist(uuid))
    expect(quiet.status).toBe(200)
    expect(quiet.body).toEqual({
      no_push: true,
      command_uuid: uuid,
      request_type: 'DeviceLock',
    })
    expect(world.apns.pushes.length).toBe(pushes + 1)
    expect((await device.poll()).results.Acknowledged).toBe(1)
  })

  test('without a push only what failed has a status, and all of it is 500', async () => {
    const some = await call('PUT', `/v1/enqueue/${id()},__proto__,toString?nopush=1`, plist(randomUUID()))
    expect(some.status).toBe(207)
    expect(Object.entries(some.body.status)).toEqual([
      ['__proto__', { command_error: expect.any(String) }],
      ['toString', { command_error: expect.any(String) }],
    ])
    const all = await call('PUT', '/v1/enqueue/nobody,noone?nopush=1', plist(randomUUID()))
    expect([all.status, Object.keys(all.body.status)]).toEqual([500, ['nobody', 'noone']])
    expect((await device.poll()).results.Acknowledged).toBe(1)
  })

  test('what is no command is told with 500 and queued nowhere', async () => {
    for (const body of [
      'nonsense',
      '<plist/>',
      plist(''),
      Buffer.from(writePlist({ Command: {} })).toString(),
    ]) {
      const answer = await call('PUT', `/v1/enqueue/${id()}`, body)
      expect(answer.status).toBe(500)
      expect(answer.body.command_error).toBeTypeOf('string')
    }
    expect((await call('GET', `/v1/queue/${id()}`)).body.commands).toEqual([])
  })

  test('stores and shows push certificates', async () => {
    const shown = await call('GET', `/v1/pushcert?topic=${TOPIC}`)
    expect(shown.status).toBe(200)
    expect(shown.body).toEqual({ topic: TOPIC, not_after: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) })
    const certificates = await createApnsCertificates(new Date())
    const renewed = await certificates.pushCertificate(TOPIC)
    const stored = await call('PUT', '/v1/pushcert', renewed.certificate + renewed.key)
    expect(stored).toMatchObject({ status: 200, body: { topic: TOPIC } })
    for (const body of ['nonsense', renewed.certificate, renewed.key]) {
      const answer = await call('PUT', '/v1/pushcert', body)
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(answer.body).toEqual({ error: expect.any(String) })
    }
    const unknown = await call('GET', '/v1/pushcert?topic=com.apple.mgmt.unknown')
    expect(unknown.status).toBeGreaterThanOrEqual(400)
    expect(unknown.body).toEqual({ error: expect.any(String) })
    // The fake of Apple knows the other authority: its certificate again.
    const first = await world.apns.certificates.pushCertificate(TOPIC)
    expect((await call('PUT', '/v1/pushcert', first.certificate + first.key)).status).toBe(200)
  })

  test('finds enrollments by filters, with what is asked for, in pages', async () => {
    const query = async (body: unknown, parameters = '') =>
      (await call('POST', `/v1/enrollments/query${parameters}`, JSON.stringify(body))).body
    await device.signIn({ UserID: 'USER-1', UserShortName: 'ada', UserLongName: 'Ada L.' })
    const gone = await world.enrolled()
    await gone.checkOut()

    const all = await query({})
    expect(all.enrollments.map((each: { id: string }) => each.id).toSorted()).toEqual(
      [id(), other.facts.udid, gone.facts.udid, `${id()}:USER-1`].toSorted(),
    )
    const mine = (await query({ filter: { ids: [id()] } })).enrollments
    expect(mine).toEqual([
      {
        id: id(),
        type: 'Device',
        device: { serial_number: device.facts.serialNumber },
        enabled: true,
        token_update_tally: 1,
        last_seen: expect.stringMatching(/^\d{4}-/),
      },
    ])
    expect((await query({ filter: { types: ['User'] } })).enrollments).toMatchObject([
      { id: `${id()}:USER-1`, type: 'User', user: { user_short_name: 'ada', user_long_name: 'Ada L.' } },
    ])
    const idsOf = async (filter: unknown) =>
      (await query({ filter })).enrollments.map((each: { id: string }) => each.id)
    expect(await idsOf({ enabled: false })).toEqual([gone.facts.udid])
    expect(await idsOf({ serials: [other.facts.serialNumber] })).toEqual([other.facts.udid])
    expect(await idsOf({ user_short_names: ['ada'] })).toEqual([`${id()}:USER-1`])
    expect(await idsOf({ ids: ['nobody'] })).toEqual([])

    const { enrollments } = await query({
      filter: { ids: [id()] },
      options: { include_device_cert: true, include_unlock_token: true },
    })
    const { device_cert, unlock_token } = enrollments[0].device
    const der = Buffer.from(device_cert.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
    expect(der.equals(Buffer.from(identityOf(device).certificate.der))).toBe(true)
    expect(Buffer.from(unlock_token, 'base64')).toHaveLength(256)

    const seen: string[] = []
    let page = await query({}, '?limit=1')
    for (;;) {
      seen.push(...page.enrollments.map((each: { id: string }) => each.id))
      if (page.next_cursor === undefined) break
      page = await query({}, `?limit=1&cursor=${page.next_cursor}`)
    }
    expect(seen).toEqual(all.enrollments.map((each: { id: string }) => each.id))
    expect((await query({}, '?limit=2&offset=1')).enrollments.map((each: { id: string }) => each.id)).toEqual(
      seen.slice(1, 3),
    )
    for (const bad of ['{', '[]', '{"filter":{"types":["Toaster"]}}', '{"filter":{"ids":"x"}}'])
      expect((await call('POST', '/v1/enrollments/query', bad)).body).toEqual({ error: expect.any(String) })
  })

  test('shows a queue in its order and empties it', async () => {
    const uuids = [randomUUID(), randomUUID(), randomUUID()]
    for (const uuid of uuids) await call('PUT', `/v1/enqueue/${id()}?nopush=1`, plist(uuid))
    const { status, body } = await call('GET', `/v1/queue/${id()}`)
    expect(status).toBe(200)
    expect(body.commands).toEqual(
      uuids.map((uuid) => ({
        command_uuid: uuid,
        request_type: 'DeviceLock',
        command: Buffer.from(plist(uuid)).toString('base64'),
      })),
    )
    const first = (await call('GET', `/v1/queue/${id()}?limit=2`)).body
    expect(first.commands).toHaveLength(2)
    const second = (await call('GET', `/v1/queue/${id()}?limit=2&cursor=${first.next_cursor}`)).body
    expect(second.commands.map((each: { command_uuid: string }) => each.command_uuid)).toEqual([uuids[2]])
    expect(second).not.toHaveProperty('next_cursor')
    expect(await call('DELETE', `/v1/queue/${id()},nobody`)).toMatchObject({ status: 204, text: '' })
    expect((await call('GET', `/v1/queue/${id()}`)).body).toEqual({ commands: [] })
    expect((await call('GET', '/v1/queue/nobody')).body).toEqual({ commands: [] })
    expect((await device.poll()).results.Acknowledged).toBe(0)
  })
})
