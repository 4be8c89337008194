import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writePlist } from '../../src/protocol/plist/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine, openAgain } from '../support/database.ts'
import { identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'

const MEGABYTE = 1024 * 1024
const XML = '<?xml version="1.0" encoding="UTF-8"?>'
const DOCTYPE =
  '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
const COMMAND = 'application/x-apple-aspen-mdm'

/** Every address that devices reach, with the methods that it has. */
const DEVICE_URLS = {
  '/mdm': ['PUT'],
  '/mdm/checkin': ['PUT'],
  '/mdm/connect': ['PUT'],
  '/scep': ['GET', 'POST'],
  '/scep?operation=PKIOperation': ['GET', 'POST'],
  '/scep?operation=GetCACert': ['GET', 'POST'],
} as const
const METHODS = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS']

/** Bodies that are no message, or one that must not be believed. */
/** What a body gets of which nobody of ours is known to be the sender. */
const statusOf = (body: Buffer) => (body.length > 64 * 1024 ? 413 : 400)

function hostileBodies(udid: string): Record<string, Buffer> {
  const idle = Buffer.from(writePlist({ Status: 'Idle', UDID: udid }))
  const wrap = (inner: string) => Buffer.from(`${XML}${DOCTYPE}<plist version="1.0">${inner}</plist>`)
  const lol = Array.from({ length: 20 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join('')
  return {
    empty: Buffer.alloc(0),
    random: randomBytes(4096),
    truncated: idle.subarray(0, idle.length - 30),
    zeros: Buffer.alloc(100_000),
    'a bomb of entities': Buffer.from(
      `${XML}<!DOCTYPE plist [<!ENTITY l0 "lol">${lol}]><plist><dict><key>UDID</key><string>&l20;</string></dict></plist>`,
    ),
    'an external entity': Buffer.from(
      `${XML}<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]><plist><dict><key>Status</key><string>Idle</string><key>UDID</key><string>&x;</string></dict></plist>`,
    ),
    'too deep': wrap('<array>'.repeat(50_000)),
    'too deep and closed': wrap('<array>'.repeat(5_000) + '</array>'.repeat(5_000)),
    'too many': wrap(`<array>${'<true/>'.repeat(2_000_000)}</array>`),
    'the prototype': wrap(
      `<dict><key>__proto__</key><dict><key>Status</key><string>Idle</string><key>isAdmin</key><true/></dict></dict>`,
    ),
    'the constructor': wrap(
      `<dict><key>constructor</key><dict><key>prototype</key><dict><key>UDID</key><string>${udid}</string></dict></dict><key>Status</key><string>Idle</string></dict>`,
    ),
    'invalid UTF-8': Buffer.concat([wrap('<dict><key>UDID</key><string>'), Buffer.from([0xff, 0xc0, 0x80])]),
    'a list': wrap('<array><string>Idle</string></array>'),
    'wrong types': wrap('<dict><key>Status</key><array/><key>UDID</key><dict/></dict>'),
    'a binary plist of lies': Buffer.concat([Buffer.from('bplist00'), Buffer.alloc(60, 0xff)]),
    'a huge length in DER': Buffer.from('308400ffffff0201', 'hex'),
    compressed: gzipSync(Buffer.alloc(MEGABYTE)),
    'trailing bytes': Buffer.concat([idle, Buffer.from('<plist/>')]),
  }
}

/** Sends bytes as they are and gives all that comes back until the connection ends or the first answer is there. */
function speak(url: string, chunks: readonly Buffer[], end = false): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    let answer = ''
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
      if (answer.includes('\r\n\r\n')) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
    for (const chunk of chunks) socket.write(chunk)
    if (end) socket.end()
  })
}

describeEachEngine('hostile devices', (database) => {
  let world: TestApp
  let device: Device
  let before: unknown
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    device = await world.enrolled()
    await world.introduced(device)
    before = await state()
  })
  afterAll(() => world.close())

  async function state(): Promise<unknown> {
    const { kysely } = database()
    const enrollments = await kysely.selectFrom('enrollments').selectAll().execute()
    const count = async (table: 'pending_deliveries' | 'delivery_history' | 'checkin_messages') =>
      (await kysely.selectFrom(table).selectAll().execute()).length
    return {
      enrollments: enrollments.map((row) => ({ ...row, last_seen_at: null })),
      counts: [
        await count('pending_deliveries'),
        await count('delivery_history'),
        await count('checkin_messages'),
      ],
    }
  }

  async function unharmed(): Promise<void> {
    expect(await state()).toEqual(before)
    expect((await device.poll()).end).toBe('idle')
    expect(device.violations()).toEqual([])
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined()
    expect(world.logText().includes('"event":"http.failed"')).toBe(false)
  }

  const request = async (method: string, path: string, body: Buffer, type = COMMAND) => {
    const hasBody = method !== 'GET'
    const response = await fetch(`${world.url}${path}`, {
      method,
      headers: { 'content-type': type },
      ...(hasBody && { body: Buffer.from(body) }),
    })
    await response.arrayBuffer()
    return response.status
  }

  test('no body, whatever it is, gets an answer of 401 or of 500 and above, with or without a signature', async () => {
    for (const [name, body] of Object.entries(hostileBodies(device.facts.udid)))
      for (const path of body.length > MEGABYTE ? ['/mdm'] : ['/mdm', '/mdm/checkin', '/mdm/connect'])
        for (const type of [COMMAND, CHECK_IN])
          for (const signer of [undefined, identityOf(device)]) {
            const { status } = await putMessage(`${world.url}${path}`, body, { type, signer })
            const expected = signer === undefined ? statusOf(body) : 400
            expect({ name, path, type, status }).toEqual({ name, path, type, status: expected })
          }
    expect([...world.logReasons()]).toEqual(expect.arrayContaining(['plist_invalid', 'message_invalid']))
    await unharmed()
  })

  test('SCEP refuses the same bodies with 400, or 413 where they are large', async () => {
    for (const [name, body] of Object.entries(hostileBodies(device.facts.udid))) {
      const status = await request('POST', '/scep?operation=PKIOperation', body, 'application/x-pki-message')
      expect({ name, status }).toEqual({ name, status: statusOf(body) })
    }
    expect(await request('GET', '/scep?operation=PKIOperation&message=%00%ff!!!', Buffer.alloc(0))).toBe(400)
    expect(await request('GET', '/scep?operation=Nonsense', Buffer.alloc(0))).toBe(400)
    expect(world.logReasons()).toContain('scep_invalid')
    await unharmed()
  })

  test('addresses that take another method say 405, and unknown ones 404', async () => {
    for (const [path, methods] of Object.entries(DEVICE_URLS))
      for (const method of METHODS.filter((each) => !(methods as readonly string[]).includes(each)))
        expect({ path, method, status: await request(method, path, Buffer.from('x')) }).toEqual({
          path,
          method,
          status: 405,
        })
    for (const path of ['/mdm/other', '/scep/x', '/enroll/link/unknown'])
      expect({ path, status: await request('GET', path, Buffer.alloc(0)) }).toEqual({ path, status: 404 })
    await unharmed()
  })

  test('a body beyond the limit is refused with 413 and others are answered meanwhile', async () => {
    const large = Buffer.alloc(20 * MEGABYTE, 0x20)
    const bomb = Buffer.from(`${XML}<plist>${'<array>'.repeat(2 * MEGABYTE)}`)
    const apps = Buffer.from(
      writePlist({
        UDID: device.facts.udid,
        Status: 'Acknowledged',
        CommandUUID: 'unknown',
        InstalledApplicationList: Array.from({ length: 50_000 }, (_, n) => ({
          Identifier: `com.example.app${n}`,
          Name: 'x'.repeat(150),
        })),
      }),
    )
    const posts = [
      ...['/mdm', '/mdm/checkin', '/mdm/connect'].map((path) =>
        putMessage(`${world.url}${path}`, large).then(
          ({ status }) => status,
          () => 413,
        ),
      ),
      request('POST', '/scep?operation=PKIOperation', large).catch(() => 413),
      ...[bomb, apps].map((body) =>
        putMessage(`${world.url}/mdm`, body, { signer: identityOf(device) }).then(({ status }) => status),
      ),
    ]
    let isOver = false
    const all = Promise.all(posts).finally(() => (isOver = true))
    let polls = 0
    do {
      expect((await device.poll()).end).toBe('idle')
      polls++
    } while (!isOver)
    // A client that is still sending when it is refused may see its connection end instead of the answer.
    expect(await all).toEqual([413, 413, 413, 413, 400, 200])
    expect(polls).toBeGreaterThan(1)
    expect(world.logReasons()).toContain('payload_too_large')
    await unharmed()
  })

  test('bodies that are not as long as they say, or never end, cost their sender the connection', async () => {
    const head = (length: string) =>
      Buffer.from(
        `PUT /mdm/connect HTTP/1.1\r\nHost: x\r\nContent-Type: ${COMMAND}\r\nContent-Length: ${length}\r\n\r\n`,
      )
    // Shorter than it says, and then the connection ends: there is nobody to answer.
    expect(await speak(world.url, [head('1000'), Buffer.from('short')], true)).not.toMatch(/^HTTP\/1.1 [25]/)
    // Longer than it says: the rest is no request.
    const longer = await speak(world.url, [head('5'), Buffer.alloc(500, 0x41)])
    expect(longer).toMatch(/^HTTP\/1.1 400/)
    for (const length of ['-1', '1e9', '0x10', '99999999999999999999', '1, 2'])
      expect(await speak(world.url, [head(length), Buffer.from('x')])).toMatch(/^HTTP\/1.1 (400|413)/)
    expect(await speak(world.url, [head('20971520'), Buffer.from('x')])).toMatch(/^HTTP\/1.1 413/)
    const both = Buffer.from(
      'PUT /mdm HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    )
    expect(await speak(world.url, [both])).toMatch(/^HTTP\/1.1 400/)
    const garbage = await speak(world.url, [randomBytes(2_000), Buffer.from('\r\n\r\n')])
    expect(garbage).toMatch(/^HTTP\/1.1 400/)
    const header = Buffer.from(`PUT /mdm HTTP/1.1\r\nHost: x\r\nMdm-Signature: ${'A'.repeat(70_000)}\r\n\r\n`)
    expect(await speak(world.url, [header])).toMatch(/^HTTP\/1.1 431/)
    await unharmed()
  })

  test('slow bodies hold nobody up', async () => {
    const { hostname, port } = new URL(world.url)
    const sockets = Array.from({ length: 30 }, () => connect(Number(port), hostname))
    for (const socket of sockets) {
      socket.on('error', () => undefined)
      socket.write(`PUT /mdm HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n<?xml`)
    }
    await unharmed()
    for (const socket of sockets) socket.destroy()
    await unharmed()
  })

  test('damaged messages of a real device are refused or mean what they say, never more', async () => {
    const update = Buffer.from(
      writePlist({ ...TOKEN_UPDATE, Topic: TOPIC, UDID: device.facts.udid, PushMagic: 'right' }),
    )
    const identity = identityOf(device)
    const damage = fc.record({
      at: fc.nat(update.length - 1),
      byte: fc.integer({ min: 1, max: 255 }),
      cut: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(damage, fc.constantFrom(CHECK_IN, COMMAND), async ({ at, byte, cut }, type) => {
        const bytes = cut ? update.subarray(0, at) : Buffer.from(update)
        if (!cut) bytes[at]! ^= byte
        // The signature is over the right message, so nothing else may be believed.
        const { status } = await putMessage(`${world.url}/mdm/checkin`, bytes, {
          type,
          signer: identity,
          signed: update,
        })
        expect(status).toBe(400)
      }),
      { numRuns: 60 },
    )
    await unharmed()
  })

  test('hostile values in right messages: nothing is taken for more than text', async () => {
    const identity = identityOf(device)
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom(
        "'; drop table enrollments; --",
        '__proto__',
        '\u0000',
        '\ud83d',
        '${jndi:x}',
        '%s%n',
        '../..',
      ),
    )
    const value = fc.oneof(
      text.map((each) => each.toWellFormed()),
      fc.boolean(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    )
    const keys = [
      'CommandUUID',
      'RequestType',
      'ErrorChain',
      'QueryResponses',
      'NotOnConsole',
      'UserID',
    ] as const
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom(...keys), value),
        fc.constantFrom('Idle', 'Acknowledged', 'Error', 'NotNow', 'CommandFormatError'),
        async (given, Status) => {
          let body: Buffer
          try {
            body = Buffer.from(writePlist({ ...given, Status, UDID: device.facts.udid }))
          } catch {
            return
          }
          const { status } = await putMessage(`${world.url}/mdm/connect`, body, { signer: identity })
          expect([200, 400]).toContain(status)
        },
      ),
      { numRuns: 100 },
    )
    await unharmed()
  })
})

describeEachEngine('a certificate header', (database, engine) => {
  test('counts from a trusted proxy alone', async () => {
    const settings = {
      FIRSTBOOT_CLIENT_CERT_HEADER: 'Client-Cert',
      FIRSTBOOT_TRUSTED_PROXIES: '192.0.2.7',
    }
    const world = await startTestApp({ db: database(), settings })
    const device = await world.enrolled()
    const certificate = identityOf(device).certificate.der.toString('base64')
    const headers = { 'client-cert': `:${certificate}:` }
    const idle = { Status: 'Idle', UDID: device.facts.udid }
    expect(await putMessage(`${world.url}/mdm`, idle, { headers })).toMatchObject({ status: 400 })
    expect(world.logReasons()).toContain('certificate_missing')
    expect(world.logText().includes('http.client_certificate_header_ignored')).toBe(true)
    const forwarded = { ...headers, 'x-forwarded-for': '127.0.0.1' }
    expect((await putMessage(`${world.url}/mdm`, idle, { headers: forwarded })).status).toBe(400)
    if (engine === 'embedded') return world.close()

    const trusting = await startTestApp({
      db: await openAgain(database()),
      apns: world.apns,
      settings: { ...settings, FIRSTBOOT_TRUSTED_PROXIES: '127.0.0.1' },
    })
    expect((await putMessage(`${trusting.url}/mdm`, idle, { headers })).status).toBe(200)
    const foreign = { 'client-cert': `:${randomBytes(800).toString('base64')}:` }
    expect((await putMessage(`${trusting.url}/mdm`, idle, { headers: foreign })).status).toBe(400)
    await trusting.close()
    await world.close()
  })
})
