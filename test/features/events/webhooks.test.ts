import { createHmac } from 'node:crypto'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { webhooksApi } from '../../../src/features/events/index.ts'
import { ACT } from '../../support/act.ts'
import { apiWorld, operatorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { startReceiver } from '../../support/webhook-receiver.ts'
import { webhookWorld } from '../../support/webhook-world.ts'

const SECOND = 1_000
const HOUR = 3_600 * SECOND

async function receiver() {
  const started = await startReceiver()
  onTestFinished(started.close)
  return started
}

describeEachEngine('webhooks', (database) => {
  beforeEach(async () => {
    for (const table of ['webhooks', 'event_outbox', 'events'] as const)
      await database().kysely.deleteFrom(table).execute()
  })

  /** A process, a receiver, and a webhook to it. */
  async function world(given: { types?: ['user.created'] | null } = { types: ['user.created'] }) {
    const process = webhookWorld(database())
    const to = await receiver()
    const webhook = await process.webhooks.create({ url: to.url, ...given }, ACT)
    const states = async (state?: 'pending' | 'delivered' | 'failed' | 'dead') =>
      (await process.webhooks.deliveries(webhook.id, { limit: 100, state })).items
        .map(({ event_id, state: told }) => `${event_id} ${told}`)
        .toReversed()
    const wait = async (ms: number) => {
      process.clock.advance(ms)
      await process.send()
    }
    return { ...process, to, webhook, states, wait }
  }

  test('each event is sent once, signed, in the form of the API', async () => {
    const { tell, send, to, webhook, webhooks, events, clock, states } = await world()
    await tell('a-1', 'b-1', 'a-2')
    await send()
    expect(to.names().toSorted()).toEqual(['a-1', 'a-2', 'b-1'])
    const [first] = to.received
    expect(first?.body).toMatchObject({
      type: 'user.created',
      via: 'job',
      data: { user_id: first?.body.user_name },
    })
    const timestamp = String(Math.floor(clock.now().getTime() / 1000))
    const key = Buffer.from(webhook.made_secret?.slice(6) ?? '', 'base64')
    const signed = `${first?.id}.${timestamp}.${first?.text}`
    expect(first?.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'webhook-id': first?.body.id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
    })
    await send()
    expect(to.received).toHaveLength(3)
    const last = (await events.bounds()).newest
    expect(await states()).toEqual([2, 1, 0].map((before) => `${last - before} delivered`))
    expect((await webhooks.list({ limit: 9 })).items).toMatchObject([
      { id: webhook.id, cursor: last, waiting: 0 },
    ])
    // Whoever adds a webhook of their own next is not told of the past.
    const later = await receiver()
    await webhooks.create({ url: later.url }, ACT)
    await send()
    expect(later.received).toEqual([])
  })

  test('one that fails is tried again within 3 s; later ones of its device wait, others go on', async () => {
    const { tell, send, to, states, wait, webhooks, webhook } = await world()
    let status: number = 500
    to.answer = ({ body }) => (body.user_name === 'a-1' ? status : 200)
    await tell('a-1', 'b-1', 'a:user-2')
    await tell('b-2', 'a-3')
    await send()
    expect(to.names().toSorted()).toEqual(['a-1', 'b-1', 'b-2'])
    expect((await states('pending')).length + (await states('failed')).length).toBe(3)
    await wait(2 * SECOND - 1)
    expect(to.received).toHaveLength(3)
    await wait(SECOND)
    expect(to.names().slice(3)).toEqual(['a-1'])
    const [failed] = (await webhooks.deliveries(webhook.id, { limit: 9, state: 'failed' })).items
    expect(failed).toMatchObject({ tries: 2, status: 500, error: 'It was answered with 500.' })
    status = 202
    await wait(5 * SECOND)
    expect(to.names().slice(4)).toEqual(['a-1', 'a:user-2', 'a-3'])
    expect(await states('failed')).toEqual([])
  })

  test('after three days it is given up and told, and those behind it go on', async () => {
    const { tell, send, to, wait, states, emitted, webhook } = await world()
    to.answer = ({ body }) => (body.user_name === 'a-1' ? 503 : 200)
    await tell('a-1', 'a-2')
    await send()
    await wait(72 * HOUR - 1)
    expect([await states('dead'), to.names()]).toEqual([[], ['a-1', 'a-1']])
    await wait(1)
    expect(await states('dead')).toHaveLength(1)
    expect(to.names().slice(2)).toEqual(['a-1', 'a-2'])
    expect(emitted.filter(({ type }) => type === 'webhook.delivery_dead')).toMatchObject([
      { data: { webhook_id: webhook.id, count: 1, error: 'It was answered with 503.' } },
    ])
  })

  test('what a receiver cannot take is given up after an hour; 410 disables it, and it goes on where it stopped', async () => {
    const { tell, send, to, wait, states, emitted, webhooks, webhook } = await world()
    to.answer = ({ body }) => (body.user_name === 'a-1' ? 422 : 200)
    await tell('a-1', 'a-2')
    await send()
    await wait(HOUR - 1)
    expect(await states('dead')).toEqual([])
    await wait(1)
    expect(await states('dead')).toHaveLength(1)
    expect(to.names().at(-1)).toBe('a-2')
    to.answer = () => 410
    await tell('b-1')
    await send()
    const disabled = { enabled: false, disabled_reason: 'gone', waiting: 1 }
    expect(await webhooks.get(webhook.id)).toMatchObject(disabled)
    expect(emitted.filter(({ type }) => type === 'webhook.disabled')).toHaveLength(1)
    await tell('c-1')
    await wait(HOUR)
    expect(to.names().at(-1)).toBe('b-1')
    expect(await states('pending')).toHaveLength(1)
    to.answer = () => 200
    const count = to.received.length
    await webhooks.update(webhook.id, { enabled: true }, ACT)
    await send()
    expect(to.names().slice(count)).toEqual(['b-1', 'c-1'])
    expect(await webhooks.get(webhook.id)).toMatchObject({ enabled: true, disabled_reason: null, waiting: 0 })
  })

  test('one that is away costs a few tries and rows, and a backlog comes in order when it is back', async () => {
    const { tell, send, to, wait, webhooks, webhook } = await world()
    await to.close()
    const names = Array.from({ length: 450 }, (_, n) => `d${n % 30}-${n}`)
    await tell(...names)
    await send()
    for (let n = 0; n < 20; n++) await wait(SECOND)
    const away = await webhooks.get(webhook.id)
    expect(away.waiting).toBeLessThanOrEqual(102)
    expect(away.paused_until).not.toBeNull()
    const back = await startReceiver(Number(new URL(to.url).port))
    onTestFinished(back.close)
    await wait(HOUR)
    expect(back.names().toSorted()).toEqual(names.toSorted())
    for (let device = 0; device < 30; device++) {
      const mine = (all: readonly string[]) => all.filter((name) => name.startsWith(`d${device}-`))
      expect(mine(back.names())).toEqual(mine(names))
    }
    expect(await webhooks.get(webhook.id)).toMatchObject({ waiting: 0, dead: 0, paused_until: null })
  })

  test('one that hangs delays no other', async () => {
    const { tell, to, webhooks, delivery, states, clock } = await world()
    const other = await receiver()
    await webhooks.create({ url: other.url, types: ['user.created'] }, ACT)
    to.answer = () => () => undefined
    await tell('a-1')
    await delivery.run()
    await expect.poll(() => [to.names(), other.names()]).toEqual([['a-1'], ['a-1']])
    await tell('a-2')
    await expect
      .poll(async () => {
        await delivery.run()
        return other.names()
      })
      .toEqual(['a-1', 'a-2'])
    clock.advance(15 * SECOND)
    await delivery.idle()
    expect(await states('failed')).toHaveLength(1)
  })

  test('answers that redirect, never end or are large', async () => {
    const { webhooks, webhook, to, clock } = await world()
    const elsewhere = await receiver()
    to.answer = () => (response) => response.writeHead(307, { location: elsewhere.url }).end()
    expect(await webhooks.test(webhook.id, ACT)).toMatchObject({
      status: 307,
      error: expect.stringContaining('redirect'),
    })
    expect(elsewhere.received).toEqual([])
    to.answer = () => (response) => void response.writeHead(200).end(Buffer.alloc(10 * 1024 * 1024))
    const large = await webhooks.test(webhook.id, ACT)
    expect(large).toMatchObject({ status: 200, error: null })
    expect(large.answer_bytes).toBeLessThanOrEqual(64 * 1024)
    to.answer = () => (response) => void response.writeHead(200).write('a')
    const trickling = webhooks.test(webhook.id, ACT)
    await expect.poll(() => to.received.length).toBe(3)
    // The answer has come by then, or it has not: the one counts, the other is a failure.
    clock.advance(15 * SECOND)
    const { status, error } = await trickling
    expect([status, error === null]).toEqual([status, status === 200])
    to.answer = () => (response) => response.socket?.destroy()
    expect(await webhooks.test(webhook.id, ACT)).toMatchObject({
      status: null,
      error: expect.stringContaining('cut'),
    })
    expect(to.received.at(-1)?.body).toMatchObject({ type: 'webhook.test', data: { webhook_id: webhook.id } })
  })

  test('all after an event is sent again, in order, what was given up too', async () => {
    const { tell, send, to, webhook, webhooks, events } = await world()
    await tell('a-1', 'a-2', 'b-1')
    await send()
    const { newest } = await events.bounds()
    expect(await webhooks.replay(webhook.id, newest - 2, ACT)).toBe(2)
    await send()
    expect(to.names().slice(3).toSorted()).toEqual(['a-2', 'b-1'])
    await expect(webhooks.replay(webhook.id, newest + 9, ACT)).rejects.toMatchObject({
      code: 'invalid_request',
    })
    await database().kysely.deleteFrom('events').where('id', '<', newest).execute()
    await expect(webhooks.replay(webhook.id, 0, ACT)).rejects.toMatchObject({ code: 'cursor_gone' })
  })

  test('two processes send nothing twice, and what a dead one had is sent by another', async () => {
    const clock = manualClock()
    const [one, two] = [webhookWorld(database(), clock), webhookWorld(database(), clock)]
    const to = await receiver()
    await one.webhooks.create({ url: to.url, types: ['user.created'] }, ACT)
    const names = Array.from({ length: 250 }, (_, n) => `d${n % 7}-${n}`)
    await one.tell(...names)
    await Promise.all([one.send(), two.send()])
    await two.send()
    expect(to.names().toSorted()).toEqual(names.toSorted())
    to.answer = () => () => undefined
    await one.tell('a-1')
    await one.delivery.run()
    await expect.poll(() => to.names().at(-1)).toBe('a-1')
    await one.delivery.close()
    to.answer = () => 200
    await two.send()
    expect(to.names().slice(250)).toEqual(['a-1', 'a-1'])
  })

  test('a webhook hears of all else, but never of its own failures', async () => {
    const { webhooks, events, db, send, to, webhook } = await world({ types: null })
    await webhooks.update(webhook.id, { name: 'Mine' }, ACT)
    const other = await webhooks.create({ url: to.url, enabled: false }, ACT)
    await db.transaction((trx) =>
      events.emit(
        trx,
        ...[webhook, other].map(({ id: webhook_id, name }) => ({
          type: 'webhook.disabled' as const,
          data: { webhook_id, name },
        })),
      ),
    )
    await events.publish()
    await send()
    const told = to.received.map(
      ({ text }) => (JSON.parse(text) as { data: { webhook_id: string } }).data.webhook_id,
    )
    expect(new Set(told)).toEqual(new Set([other.id]))
  })

  test('the API', async () => {
    const { webhooks, db, clock, ...doors } = webhookWorld(database())
    const to = await receiver()
    const operators = operatorsOf({ ...doors, db, clock })
    const { call } = await apiWorld({ db, clock, operators, routes: webhooksApi({ webhooks }) })
    const made = await call('POST', '/webhooks', { url: to.url, types: ['user.created'] })
    expect(made).toMatchObject({
      status: 201,
      body: { shape: 'firstboot', enabled: true, secret: expect.stringMatching(/^whsec_/) },
    })
    const path = `/webhooks/${made.body.id}`
    const { body: shown } = await call('GET', path)
    expect(shown).toEqual({ ...made.body, secret: undefined })
    expect((await call('GET', '/webhooks')).body.items).toEqual([shown])
    for (const wrong of [
      { url: to.url, secret: 'guess-me' },
      { url: to.url, secret: 'whsec_c2hvcnQ=' },
      { url: to.url, types: [] },
      { url: to.url, types: ['user.lost'] },
      { url: to.url, shape: 'nanomdm', types: ['user.created'] },
      { url: to.url, shape: 'other' },
      { url: to.url, filter: 'x' },
      { name: 'x' },
    ])
      expect((await call('POST', '/webhooks', wrong)).status).toBe(400)
    for (const url of ['ftp://example.org', 'http://example.org', 'https://a:b@example.org', 'nowhere'])
      expect(await call('POST', '/webhooks', { url })).toMatchObject({
        status: 422,
        body: { code: 'upstream_refused' },
      })
    const rotated = await call('PATCH', path, { secret: null, previous_valid_hours: 1 })
    expect(rotated.body.secret).not.toBe(made.body.secret)
    expect(rotated.body.previous_valid_until).not.toBeNull()
    expect((await call('PATCH', path, { previous_valid_hours: 1 })).status).toBe(400)
    const tried = await call('POST', `${path}/test`)
    expect(tried).toMatchObject({ status: 200, body: { ok: true, status: 204 } })
    expect(to.received[0]?.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/)
    clock.advance(HOUR)
    await call('POST', `${path}/test`)
    expect(to.received[1]?.headers['webhook-signature']).toMatch(/^v1,\S+$/)
    const etag = String((await call('GET', path)).headers['etag'])
    expect((await call('PATCH', path, {}, { 'if-match': etag })).headers['etag']).toBe(etag)
    expect((await call('PATCH', path, { name: 'B' }, { 'if-match': '"1"' })).status).toBe(412)
    expect((await call('POST', `${path}/replay`, { after: '-1' })).status).toBe(400)
    expect((await call('POST', `${path}/replay`, { after: '0' })).body).toEqual({ events: 0 })
    expect((await call('GET', `${path}/deliveries?state=lost`)).status).toBe(400)
    expect((await call('DELETE', path, undefined, { 'if-match': etag })).status).toBe(204)
    expect((await call('GET', `${path}/deliveries`)).status).toBe(404)
    const stored = await db.kysely.selectFrom('events').select('data').execute()
    expect(JSON.stringify(stored)).not.toContain('whsec_')
  })
})

test('an address outside the public internet is refused, whatever the webhook is called', async () => {
  const { webhooks } = webhookWorld({} as never, manualClock(), false)
  for (const url of [
    'https://127.0.0.1',
    'https://[::ffff:10.0.0.1]/',
    'https://localhost:1',
    'https://0x7f.1/',
    'http://8.8.8.8',
  ])
    for (const name of [{}, { name: 'named' }])
      await expect(webhooks.create({ url, ...name }, ACT)).rejects.toMatchObject({ code: 'upstream_refused' })
})
