import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRandom } from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { manualClock } from '../support/manual-clock.ts'

/** A part of the API's description. */
// oxlint-disable-next-line no-explicit-any -- a document, walked by its own rules
type Json = any

const encode = (key: unknown) => Buffer.from(JSON.stringify(key)).toString('base64url')
const DEEP = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`) as unknown

/** Texts that nobody means: for ids, names, filters, everything. */
const TEXTS = [
  ...[
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    'x\udc00',
    '\u202e\u2066evil',
    '\u001b[31m',
    '\r\n',
    '\u2028',
    '\uFEFF',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    '../../etc/passwd',
    '%00',
    '%',
    '%zz',
    '%ff',
    '%25',
    'null',
    'true',
  ],
  ...['0', '-1', '1e400', '9007199254740992', '99999999999999999999', '0x10', 'NaN', '١٢'],
  ...['00000000-0000-0000-0000-000000000000', '0190a000-0000-7000-8000-00000000000g', 'ſ', 'İ', 'ß'],
  ...['2027-12-31T23:59:60Z', '-271821-04-20T00:00:00.000Z', '+275760-09-13T00:00:00.000Z'],
  ...['0000-01-01T00:00:00Z', '10000-01-01T00:00:00Z', '2027-02-30T00:00:00Z', '2027-12-31T23:59:59Z'],
  ...["' or 1=1 --", '{"a":1}', '[]', 'x'.repeat(3_000), '😀'.repeat(300)],
]
const CURSORS = [
  ...[['-271821-04-20T00:00:00.000Z', 'a'], ['+275760-09-13T00:00:00.000Z', 'a'], ['a'], ['a\0'], ['\ud800']],
  ...[[-1], [1e300], [9007199254740992], [null], [[]], {}, 'x', ['', ''], [0], [9007199254740991], []],
].map(encode)
const VALUES: unknown[] = [
  ...TEXTS,
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    1e308,
    2147483648,
    9007199254740992,
    -9007199254740992,
    [],
    {},
    [[]],
    DEEP,
  ],
  ...[{ $date: '2027-12-31T23:59:60Z' }, { $data: '%' }, ['\0'], { constructor: 1 }, { '\0': 1 }, ['\ud800']],
]

describeOnEngine('postgres', 'odd values in the operator API', (database) => {
  let world: TestApp
  let document: Json
  beforeAll(async () => {
    world = await startTestApp({ db: database(), clock: manualClock() })
    document = (await world.api('GET', '/openapi.json')).body
    await makeThings()
  }, 120_000)
  afterAll(() => world.close())

  /** Ids of things that there are, by the first part of their addresses: an odd value is to get past the search for them. */
  const things = new Map<string, string>()

  async function makeThings(): Promise<void> {
    const device = await world.enrolled()
    things.set('devices', device.facts.udid)
    things.set('push-certificates', TOPIC)
    const made: [string, Record<string, unknown>][] = [
      ['ade-servers', { name: 'Odd' }],
      ['enrollment-policies', { name: 'Odd' }],
      ['users', { user_name: 'odd' }],
      ['groups', { name: 'Odd' }],
      ['sign-in-sources', { kind: 'ws_trust', name: 'Odd', url: 'https://127.0.0.1:9/' }],
      ['enrollment-links', {}],
      ['api-tokens', { name: 'odd', role: 'viewer' }],
      ['commands', { request_type: 'ProfileList', device_ids: [device.facts.udid] }],
    ]
    for (const [kind, body] of made) {
      const answer = await world.api('POST', `/${kind}`, body)
      expect([kind, Math.trunc(answer.status / 100)]).toEqual([kind, 2])
      things.set(kind, answer.body.id ?? answer.body.uuid)
    }
  }

  const resolve = (schema: Json): Json =>
    schema?.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1)]

  /** A value that the schema takes, so that one odd value is all that is wrong. */
  function sound(given: Json): unknown {
    const schema = resolve(given) ?? {}
    if (schema.default !== undefined) return schema.default
    if (schema.const !== undefined) return schema.const
    if (schema.enum !== undefined) return schema.enum[0]
    if (schema.anyOf !== undefined) return sound(schema.anyOf[0])
    if (schema.type === 'object' || schema.properties !== undefined) {
      const needed: string[] = schema.required ?? []
      return Object.fromEntries(needed.map((name) => [name, sound(schema.properties[name])]))
    }
    if (schema.type === 'array') return schema.minItems > 0 ? [sound(schema.items)] : []
    if (schema.type === 'integer') return schema.minimum ?? 1
    if (schema.type === 'boolean') return true
    if (schema.format === 'date-time') return '2030-01-01T00:00:00Z'
    return 'thing'
  }

  /** `always`: whether it is made in every run. */
  type Request = {
    method: string
    url: string
    body?: unknown
    headers?: Record<string, string>
    always?: boolean
  }

  /** For each part of a call, requests in which that part alone is odd. */
  function* requests(path: string, method: string, call: Json): Generator<Request> {
    const parameters: Json[] = (call.parameters ?? []).filter((one: Json) => one.in !== 'header')
    const content = call.requestBody?.content?.['application/json']?.schema
    const at = (odd: Record<string, string>, query: string) => {
      const [, kind = ''] = path.slice('/api/v1'.length).split('/')
      const known = method === 'delete' ? undefined : things.get(kind)
      let isFirst = true
      const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
        const id = isFirst ? (known ?? 'thing') : 'thing'
        isFirst = false
        return encodeAll(odd[name] ?? id)
      })
      return query === '' ? filled : `${filled}?${query}`
    }
    const body = content === undefined ? {} : { body: sound(content) }
    const base = { method: method.toUpperCase(), ...body }
    for (const { in: place, name } of parameters)
      for (const text of name === 'cursor' ? [...TEXTS, ...CURSORS] : TEXTS)
        yield place === 'path'
          ? { ...base, url: at({ [name]: text === '' ? 'x' : text }, '') }
          : { ...base, url: at({}, `${name}=${encodeAll(text)}`), always: name === 'cursor' }
    yield { ...base, url: at({}, parameters.map(({ name }) => `${name}=1&${name}=1`).join('&')) }
    yield { ...base, url: at({}, Array.from({ length: 3_000 }, (_, n) => `a${n}`).join('&')) }
    for (const tag of ['"1"', 'W/"1"', '*', '"', '""', '"1","2"', '1', ',,,', '"\x80"', ' '])
      yield { ...base, url: at({}, ''), headers: { 'if-match': tag } }
    if (content === undefined) return
    for (const odd of VALUES) yield { ...base, url: at({}, ''), body: odd }
    for (const name of fieldsOf(content))
      for (const odd of VALUES)
        yield {
          ...base,
          url: at({}, ''),
          body: withField(body.body, name, odd),
          always: /_at$|^not_before$/.test(name.at(-1) ?? ''),
        }
    yield {
      ...base,
      url: at({}, ''),
      body: { ...(body.body as object), ...{ ['__proto__x']: 1, constructor: 1 } },
    }
  }

  /** The fields of a body and of the objects in it, as paths. */
  function fieldsOf(given: Json, prefix: string[] = []): string[][] {
    const schema = resolve(given) ?? {}
    if (schema.anyOf !== undefined) return schema.anyOf.flatMap((one: Json) => fieldsOf(one, prefix))
    return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => [
      [...prefix, name],
      ...fieldsOf(inner, [...prefix, name]),
    ])
  }

  function withField(value: unknown, [name = '', ...rest]: string[], odd: unknown): unknown {
    const object = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
    return { ...object, [name]: rest.length === 0 ? odd : withField(object[name], rest, odd) }
  }

  async function send({ method, url, body, headers = {} }: Request): Promise<number> {
    // Slower than what a token may ask for.
    world.clock.advance(10)
    const answer = await fetch(`${world.url}${url}`, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    await answer.arrayBuffer()
    return answer.status
  }

  /** What is not worth trying: it would end the admin, or asks another server. */
  const isLeftOut = (path: string, method: string) => path.includes('{topic}') && method === 'put'

  test('times and cursors that no database holds are refused by name', async () => {
    const device = things.get('devices') ?? ''
    const command = { request_type: 'ProfileList', device_ids: [device] }
    for (const time of [
      '2027-12-31T23:59:60Z',
      '2027-02-30T00:00:00Z',
      '10000-01-01T00:00:00Z',
      '0000-12-31T23:59:59Z',
    ])
      for (const [method, path, body] of [
        ['POST', '/enrollment-links', { expires_at: time }],
        ['POST', '/api-tokens', { name: 'late', role: 'viewer', expires_at: time }],
        ['POST', '/commands', { ...command, not_before: time }],
        ['POST', '/commands', { ...command, expires_at: time }],
        ['POST', '/commands', { ...command, request_type: 'X', command: { At: { $date: time } } }],
        ['PATCH', `/users/${things.get('users')}`, { password_expires_at: time }],
      ] as const) {
        const { status } = await world.api(method, path, body)
        expect([path, body, [400, 422].includes(status)]).toEqual([path, body, true])
      }
    for (const at of [
      '-271821-04-20T00:00:00.000Z',
      '+275760-09-13T00:00:00.000Z',
      '2027-12-31T23:59:60Z',
      'now',
    ])
      for (const path of ['/commands', `/devices/${device}/commands`])
        expect(await world.api('GET', `${path}?cursor=${encode([at, 'a'])}`)).toMatchObject({
          status: 400,
          body: { code: 'invalid_request', errors: [{ path: 'cursor' }] },
        })
    const source = { kind: 'ws_trust', name: 'Half', url: 'https://127.0.0.1:9/', applies_to: 'urn:\ud800' }
    expect(await world.api('POST', '/sign-in-sources', source)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    })
  })

  test('names hold nothing that is not seen', async () => {
    const kinds: [string, (name: string) => Record<string, unknown>][] = [
      ['users', (name) => ({ user_name: name })],
      [
        'users',
        (name) => ({ user_name: `u${Math.abs(name.length)}${name.codePointAt(1)}`, display_name: name }),
      ],
      ['groups', (name) => ({ name })],
      ['ade-servers', (name) => ({ name })],
      ['enrollment-policies', (name) => ({ name })],
      ['enrollment-policies', (name) => ({ name: `p${name.codePointAt(1)}`, description: name })],
      ['sign-in-sources', (name) => ({ kind: 'ws_trust', name, url: 'https://127.0.0.1:9/' })],
      ['api-tokens', (name) => ({ name, role: 'viewer' })],
    ]
    for (const [kind, bodyOf] of kinds) {
      for (const code of [
        0x01, 0x1b, 0x7f, 0x85, 0x9b, 0x61c, 0x200e, 0x200f, 0x2028, 0x202a, 0x202e, 0x2066, 0x2069,
      ]) {
        const { status } = await world.api('POST', `/${kind}`, bodyOf(`a${String.fromCodePoint(code)}b`))
        expect([kind, code.toString(16), [400, 422].includes(status)]).toEqual([
          kind,
          code.toString(16),
          true,
        ])
      }
      for (const name of ['Zoë 👩‍👩‍👧', 'علي الأحمد', 'می‌خواهم', 'שרה', 'Łódź–2'])
        expect([kind, name, (await world.api('POST', `/${kind}`, bodyOf(name))).status]).toEqual([
          kind,
          name,
          201,
        ])
    }
  })

  test('never are a 5xx', { timeout: 900_000 }, async () => {
    const all = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
      Object.entries<Json>(methods)
        .filter(([method]) => !isLeftOut(path, method))
        .flatMap(([method, call]) => [...requests(path, method, call)]),
    )
    expect(all.length).toBeGreaterThan(1_000)
    const random = createRandom('odd values')
    const chosen = all.filter(({ always }) => always || random.next() < SHARE)
    const failed: string[] = []
    const lanes = Array.from({ length: 8 }, async () => {
      for (let request = chosen.pop(); request !== undefined; request = chosen.pop()) {
        const status = await send(request)
        if (status >= 500 || status === 429)
          failed.push(
            `${status} ${request.method} ${request.url} ${JSON.stringify(request.body)?.slice(0, 200)}`,
          )
      }
    })
    await Promise.all(lanes)
    expect(failed).toEqual([])
  })
})

/** Of all requests, besides those with cursors and times, so many are made in a run; a seed chooses which. */
const SHARE = 0.05

/** Percent-encoded as UTF-8, an unpaired surrogate as its own three bytes; what is encoded already stays. */
function encodeAll(text: string): string {
  if (text.startsWith('%')) return text
  if (text.isWellFormed()) return encodeURIComponent(text)
  return Array.from(text, (one) => (one.isWellFormed() ? encodeURIComponent(one) : '%ED%A0%80')).join('')
}
