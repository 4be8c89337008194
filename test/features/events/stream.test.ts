import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { eventsApi, eventStreamApi } from '../../../src/features/events/index.ts'
import { createEventStreams } from '../../../src/features/events/stream.ts'
import { EVENT_TYPES } from '../../../src/features/events/catalogue.ts'
import type { Operators } from '../../../src/features/operators/index.ts'
import { readEvents } from '../../../src/cli/event-stream.ts'
import { ACT } from '../../support/act.ts'
import { apiWorld, doorsOf, operatorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'

type Doors = ReturnType<typeof doorsOf>

/** Tells of users, or of their end, and publishes that. */
async function tell({ db, events }: Doors, names: string[], type: 'created' | 'deleted' = 'created') {
  await db.transaction((trx) =>
    events.emit(
      trx,
      ...names.map((name) => ({ type: `user.${type}` as const, user_name: name, data: { user_id: name } })),
    ),
  )
  await events.publish()
}

/** A reader of a stream that counts on nothing but what came. */
function reader(response: Response) {
  const seen: { id: string | undefined; name: string | undefined }[] = []
  let beats = 0
  const over = (async () => {
    for await (const { id, data } of readEvents(
      response.body as ReadableStream<Uint8Array>,
      () => undefined,
    )) {
      const { user_name: name } = data === '' ? {} : (JSON.parse(data) as { user_name?: string })
      if (data === '') beats += 1
      seen.push({ id, name })
    }
  })()
  over.catch(() => undefined)
  return { seen, over, beats: () => beats, names: () => seen.flatMap(({ name }) => name ?? []) }
}

describeEachEngine('the stream of events', (database) => {
  let doors: Doors
  let operators: Operators
  beforeAll(() => {
    doors = doorsOf(database())
    operators = operatorsOf(doors)
  })

  async function world() {
    const eventStreams = createEventStreams(doors)
    const { http, call } = await apiWorld({
      db: database(),
      clock: doors.clock,
      operators,
      routes: async (app) => {
        await app.register(eventsApi(doors))
        await app.register(eventStreamApi({ eventStreams }))
      },
    })
    const { main } = await http.listen()
    const { secret, token } = await operators.create(
      { name: 'reader', role: 'viewer', expires_at: null },
      ACT,
    )
    await doors.events.publish()
    await database().kysely.deleteFrom('events').execute()
    const give = new AbortController()
    onTestFinished(() => give.abort())
    const connect = (query = '', headers: Record<string, string> = {}) =>
      fetch(`${main}/api/v1/events/stream${query}`, {
        headers: { authorization: `Bearer ${secret}`, ...headers },
        signal: give.signal,
      })
    const publish = async (...given: Parameters<typeof tell> extends [unknown, ...infer R] ? R : never) => {
      await tell(doors, ...given)
      await eventStreams.run()
    }
    return { http, call, connect, publish, token, eventStreams }
  }

  test('begins now, or after a position, and goes on as events come', async () => {
    const { connect, publish } = await world()
    await publish(['a', 'b'])
    const response = await connect()
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    expect(response.headers.has('content-encoding')).toBe(false)
    const now = reader(response)
    const [past, last, deleted] = await Promise.all(
      [['?after=0'], ['?after=0', { 'last-event-id': '1' }] as const, ['?after=0&type=user.deleted']].map(
        async ([query, headers]) => reader(await connect(query, headers as never)),
      ),
    )
    await expect.poll(() => [past?.names(), last?.names()]).toEqual([['a', 'b'], ['b']])
    await publish(['c'])
    await publish(['d'], 'deleted')
    await expect.poll(() => past?.names()).toEqual(['a', 'b', 'c', 'd'])
    await expect.poll(() => [now.names(), deleted?.names()]).toEqual([['c', 'd'], ['d']])
    // The first place is told at once, so that who loses the connection before an event loses no event.
    expect(now.seen.map(({ id }) => id)).toEqual(['2', '3', '4'])
  })

  test('positions that mean nothing, or that are gone, are refused', async () => {
    const { connect, call, publish } = await world()
    await publish(['a', 'b'])
    for (const [query, headers, status, code] of [
      ['?after=x', {}, 400, 'invalid_request'],
      ['?after=-1', {}, 400, 'invalid_request'],
      ['?after=3', {}, 400, 'invalid_request'],
      ['?after=1', { 'last-event-id': 'nonsense' }, 400, 'invalid_request'],
      ['?after=1', { 'last-event-id': '' }, 400, 'invalid_request'],
      ['?type=user.lost', {}, 400, 'invalid_request'],
      ['?from=1', {}, 400, 'invalid_request'],
    ] as const) {
      const response = await connect(query, headers)
      expect([query, response.status, await response.json()]).toMatchObject([query, status, { code }])
    }
    doors.clock.advance(31 * 86_400_000)
    await publish(['c'])
    await doors.events.expire(30)
    expect((await call('GET', '/events?after=2')).body.items).toHaveLength(1)
    expect((await call('GET', '/events')).body.items).toHaveLength(1)
    for (const path of ['/events?after=1', '/events?after=0&type=user.deleted', '/events/stream?after=1'])
      expect(await call('GET', path)).toMatchObject({ status: 410, body: { code: 'cursor_gone' } })
    expect((await call('GET', '/events?after=1')).body.detail).toContain('after=2')
    expect((await connect('', { 'last-event-id': '2' })).status).toBe(200)
  })

  test('what is kept has no gap, whatever the times of events are', async () => {
    const { publish } = await world()
    await publish(['a', 'b', 'c'])
    const old = new Date(doors.clock.now().getTime() - 40 * 86_400_000)
    await database().kysely.updateTable('events').set({ at: old }).where('id', 'in', [1, 3]).execute()
    await doors.events.expire(30)
    expect((await doors.events.list({ limit: 9 })).map(({ id }) => id)).toEqual([2, 3])
    await database().kysely.updateTable('events').set({ at: old }).execute()
    await doors.events.expire(30)
    expect(await doors.events.bounds()).toEqual({ oldest: 3, newest: 3 })
  })

  test('says every 15 seconds that it lives, and ends soon after its token', async () => {
    const { connect, publish, token } = await world()
    await publish(['a'])
    const { beats, over, seen } = reader(await connect('?type=user.deleted'))
    await expect.poll(beats).toBe(1)
    await publish(['b'])
    doors.clock.advance(10_000)
    doors.clock.advance(5_000)
    await expect.poll(beats).toBe(2)
    // Also where all others are of other types, it tells how far it is.
    expect(seen.at(-1)).toEqual({ id: '2', name: undefined })
    await operators.remove(token.id, ACT)
    doors.clock.advance(20_000)
    await over
  })

  test('the schema names each type with what its data holds', async () => {
    const { call } = await world()
    const { body } = await call('GET', '/events/schema')
    const types = body.oneOf.map(
      (each: { properties: { type: { const: string } } }) => each.properties.type.const,
    )
    expect(types).toEqual(EVENT_TYPES)
    const { data } = body.oneOf[types.indexOf('user.created')].properties
    expect(data).toMatchObject({ type: 'object', required: ['user_id'], additionalProperties: false })
  })

  test('ends when the server does', async () => {
    const { connect, http } = await world()
    const { over } = reader(await connect())
    await http.close()
    await over
  })
})

describe('many streams', () => {
  const allowed = async () => true

  /** Streams over events that are only numbers. */
  function feed() {
    const clock = manualClock()
    let newest = 0
    let reads = 0
    const streams = createEventStreams({
      clock,
      log: doorsOf(undefined as never, clock).log,
      events: {
        onPublished: () => undefined,
        bounds: async () => ({ oldest: 1, newest }),
        async list({ after = 0, limit }) {
          reads += 1
          const ids = Array.from({ length: Math.min(limit, newest - after) }, (_, n) => after + n + 1)
          return ids.map(
            (id) => ({ id, type: 'user.created', at: clock.now(), data: { of: 'x'.repeat(400) } }) as never,
          )
        },
      },
    })
    onTestFinished(streams.close)
    const grow = async (count: number) => {
      newest += count
      await streams.run()
    }
    return { clock, streams, grow, reads: () => reads }
  }

  test('are served by one reader of the database, and are bounded', async () => {
    const { streams, grow, reads } = feed()
    const open = () => streams.open({ after: undefined, type: undefined, isAllowed: allowed })
    const got: string[] = []
    for (let n = 0; n < 1_000; n++) (await open()).on('data', (chunk: Buffer) => got.push(chunk.toString()))
    await grow(1)
    await expect.poll(() => got.filter((text) => text.includes('data: ')).length).toBe(1_000)
    expect(reads()).toBe(1)
    for (let n = 1_000; n < 2_000; n++) await open()
    await expect(open()).rejects.toMatchObject({ code: 'overloaded' })
  })

  test('one that is read slowly costs little and loses nothing; one that nobody reads is cut off', async () => {
    const { clock, streams, grow } = feed()
    const body = await streams.open({ after: 0, type: undefined, isAllowed: allowed })
    await grow(5_000)
    await expect.poll(() => body.readableLength).toBeGreaterThan(64 * 1024)
    await grow(5_000)
    expect(body.readableLength).toBeLessThan(512 * 1024)
    let text = ''
    body.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const last = () => /\nid: (\d+)\ndata: .*\n\n$/.exec(text.slice(-2_000))?.[1]
    await expect.poll(last).toBe('10000')
    const ids = text
      .split('\n')
      .flatMap((line) => (line.startsWith('data') ? JSON.parse(line.slice(6)).id : []))
    expect(ids).toEqual(Array.from({ length: 10_000 }, (_, n) => String(n + 1)))
    body.pause()
    await grow(500)
    await grow(500)
    clock.advance(60_000)
    clock.advance(5_000)
    expect(body.destroyed).toBe(true)
  })
})
