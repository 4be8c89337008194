import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { unpackBytes } from '../../src/protocol/mdm/index.ts'
import { parsePlist, writePlist, type PlistDict, type WritablePlist } from '../../src/protocol/plist/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'

const HEAD = '<?xml version="1.0" encoding="UTF-8"?><plist version="1.0">'

describeOnEngine('embedded', 'what devices answer that is odd', (database) => {
  let world: TestApp
  let device: Device
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  beforeEach(async () => {
    device = await world.enrolled()
    await world.introduced(device)
  })
  afterAll(() => world.close())

  const queue = async (fields: Record<string, unknown> = {}) => {
    const { status, body } = await world.api('POST', '/commands', {
      request_type: 'DeviceInformation',
      command: { Queries: ['OSVersion'] },
      device_ids: [device.facts.udid],
      ...fields,
    })
    expect(status).toBe(202)
    return body.uuid as string
  }
  const deliveryOf = async (uuid: string) => (await world.api('GET', `/commands/${uuid}`)).body.deliveries[0]
  const put = (body: Uint8Array | PlistDict) =>
    putMessage(`${world.url}/mdm/connect`, body, { signer: identityOf(device) })
  const answer = (keys: Record<string, WritablePlist>) =>
    put(Buffer.from(writePlist({ UDID: device.facts.udid, ...keys })))
  const given = ({ body }: { body: Buffer }) =>
    body.length === 0 ? undefined : (parsePlist(body) as { CommandUUID: string }).CommandUUID
  const idle = async () => given(await answer({ Status: 'Idle' }))
  const resultOf = async (uuid: string) => {
    const row = await database()
      .kysely.selectFrom('delivery_history')
      .selectAll()
      .where('command_uuid', '=', uuid)
      .executeTakeFirstOrThrow()
    return unpackBytes(row.result ?? Buffer.from([0]), 64 * 1024 * 1024)
  }
  const eventsOf = async (uuid: string) => {
    const rows = await Promise.all([
      database().kysely.selectFrom('events').select(['type', 'data']).execute(),
      database().kysely.selectFrom('event_outbox').select(['type', 'data']).execute(),
    ])
    return rows
      .flat()
      .filter(({ data }) => (data as { command_uuid?: string }).command_uuid === uuid)
      .filter(({ type }) => type !== 'command.queued')
  }

  /** An acknowledged DeviceInformation with one value that cannot be read; `large` messages are read on a thread. */
  const oddResult = (uuid: string, value: string | Buffer, large = false) =>
    Buffer.concat([
      Buffer.from(
        `${HEAD}<dict><key>CommandUUID</key><string>${uuid}</string><key>QueryResponses</key><dict>`,
      ),
      Buffer.from('<key>OSVersion</key><string>99.9</string><key>Odd</key>'),
      Buffer.from(value),
      Buffer.from(
        `<key>Pad</key><string>${large ? randomBytes(150_000).toString('hex') : 'x'}</string></dict>`,
      ),
      Buffer.from(`<key>Status</key><string>Acknowledged</string><key>UDID</key>`),
      Buffer.from(`<string>${device.facts.udid}</string></dict></plist>`),
    ])

  test.each<[string, string | Buffer]>([
    ['a date out of range', '<date>10000-01-01T00:00:00Z</date>'],
    ['a stray byte', Buffer.concat([Buffer.from('<string>'), Buffer.of(0xff), Buffer.from('</string>')])],
    ['an odd integer', '<integer>1e5</integer>'],
    ['an unknown element', '<uid>1</uid>'],
    ['too deep a nesting', '<array>'.repeat(200) + '</array>'.repeat(200)],
  ])('%s: the command ends, what can be read counts, the next one goes out', async (_, value) => {
    for (const large of [false, true]) {
      const uuid = await queue()
      const next = await queue({ priority: 'low' })
      expect(await idle()).toBe(uuid)
      const body = oddResult(uuid, value, large)
      expect(given(await put(body))).toBe(next)
      expect(await deliveryOf(uuid)).toMatchObject({
        state: 'acknowledged',
        result_unreadable: true,
        warnings: [expect.stringContaining('Not all of the answer can be read: ')],
      })
      expect((await resultOf(uuid)).equals(body)).toBe(true)
      const { body: shown } = await world.api('GET', `/devices/${device.facts.udid}`)
      expect(shown.os_version).toBe('99.9')
      expect(shown.inventory.device_information.answers).toHaveProperty('Pad')
      expect(await eventsOf(uuid)).toMatchObject([
        { type: 'command.acknowledged', data: { unreadable: expect.any(String) } },
      ])
      expect(given(await answer({ Status: 'Acknowledged', CommandUUID: next }))).toBeUndefined()
      expect(await deliveryOf(next)).toMatchObject({ result_unreadable: false, warnings: [] })
      await answer({ Status: 'Acknowledged', CommandUUID: next, QueryResponses: { OSVersion: '18.1' } })
    }
  })

  test('a list of a million entries ends its command and is no inventory', async () => {
    const uuid = await queue({ request_type: 'InstalledApplicationList', command: {} })
    expect(await idle()).toBe(uuid)
    const list = `<key>InstalledApplicationList</key><array>${'<dict/>'.repeat(1_000_000)}</array>`
    const body = oddResult(uuid, '<true/>')
      .toString()
      .replace('<key>Status</key>', `${list}<key>Status</key>`)
    expect(given(await put(Buffer.from(body)))).toBeUndefined()
    expect(await deliveryOf(uuid)).toMatchObject({ state: 'acknowledged', result_unreadable: true })
    const apps = await world.api('GET', `/devices/${device.facts.udid}/apps`)
    expect(apps.body.items).toEqual([])
  })

  test('U+0000 in texts is replaced in the columns, and kept in the bytes', async () => {
    const uuid = await queue()
    expect(await idle()).toBe(uuid)
    const body = oddResult(uuid, '<true/>').toString().replace('99.9', '9\u00009')
    await put(Buffer.from(body))
    expect(await deliveryOf(uuid)).toMatchObject({ state: 'acknowledged', result_unreadable: false })
    const { body: shown } = await world.api('GET', `/devices/${device.facts.udid}`)
    expect(shown.os_version).toBe('9\ufffd9')
    expect((await resultOf(uuid)).equals(Buffer.from(body))).toBe(true)
  })

  test('a Status that nobody knows ends the command as an error that says it', async () => {
    for (const Status of ['Fine\u0000', 5]) {
      const uuid = await queue()
      expect(await idle()).toBe(uuid)
      const status: Record<string, WritablePlist> = Status === 5 ? { Status } : { Status: 'Fine' }
      expect(given(await answer({ CommandUUID: uuid, ...status }))).toBeUndefined()
      const said = Status === 5 ? 'of no text' : '"Fine"'
      expect(await deliveryOf(uuid)).toMatchObject({
        state: 'error',
        error_chain: [{ ErrorDomain: 'Firstboot', USEnglishDescription: `Unknown Status ${said}` }],
      })
    }
  })

  test('an ErrorChain that is one dictionary, with its code as a text', async () => {
    const uuid = await queue()
    expect(await idle()).toBe(uuid)
    const ErrorChain = { ErrorCode: '12013', ErrorDomain: 'MCMDMErrorDomain' }
    expect(given(await answer({ Status: 'Error', CommandUUID: uuid, ErrorChain }))).toBeUndefined()
    expect((await deliveryOf(uuid)).error_chain).toEqual([
      { ErrorCode: 12013, ErrorDomain: 'MCMDMErrorDomain' },
    ])
  })

  test.each<[string, (uuid: string) => Promise<unknown>]>([
    ['bodies that are no property list', () => put(Buffer.from('nonsense'))],
    ['bodies that end too early', (uuid) => put(oddResult(uuid, '<true/>').subarray(0, 250))],
    ['answers without a CommandUUID', () => answer({ Status: 'Acknowledged' })],
    ['answers of somebody else', (uuid) => answer({ Status: 'Error', CommandUUID: uuid, UDID: '' })],
    ['nothing but Idle', () => Promise.resolve()],
    [
      'answers to something else',
      () => answer({ Status: 'Acknowledged', CommandUUID: 'another' }).then(() => undefined),
    ],
    ['bodies that are too large', () => put(Buffer.alloc(17 * 1024 * 1024, 0x20)).catch(() => undefined)],
  ])('a device that says %s gets a command three times at most, and then the next', async (name, say) => {
    const uuid = await queue()
    const next = await queue({ priority: 'low' })
    for (let time = 0; time < 3; time++) {
      const first = await idle()
      // What answers nothing is answered with the next command at once.
      expect({ name, time, first }).toEqual({ name, time, first: uuid })
      await say(uuid)
      if (name === 'answers to something else') break
    }
    const seen = new Set<string | undefined>()
    for (let time = 0; time < 4; time++) seen.add(await idle())
    expect([...seen].filter((each) => each === uuid)).toHaveLength(
      name === 'answers to something else' ? 1 : 0,
    )
    expect(await deliveryOf(uuid)).toMatchObject({
      state: 'error',
      error_chain: [
        {
          ErrorDomain: 'Firstboot',
          USEnglishDescription: 'The command went out 3 times, and no answer to it could be read.',
        },
      ],
    })
    const [failed, ...others] = await eventsOf(uuid)
    expect({ failed, others }).toMatchObject({
      ...{ failed: { type: 'command.failed', data: { status: 'Error' } }, others: [] },
    })
    const lines = world.logText().split('\n')
    const line = lines.find((each) => each.includes('"command.failed"') && each.includes(uuid))
    expect(JSON.parse(line ?? '{}')).toMatchObject(failed?.data as object)
    await answer({ Status: 'Acknowledged', CommandUUID: next })
    for (let time = 0; time < 4; time++) await idle()
    expect(await idle()).toBeUndefined()
  })

  test('the bytes of the last answer are kept where nobody could read them', async () => {
    const uuid = await queue()
    for (let time = 0; time < 3; time++) {
      expect(await idle()).toBe(uuid)
      expect((await put(Buffer.from(`nonsense ${time}`))).status).toBe(400)
    }
    expect(await deliveryOf(uuid)).toMatchObject({ state: 'error', result_unreadable: true })
    expect((await resultOf(uuid)).toString()).toBe('nonsense 2')
    expect(await idle()).toBeUndefined()
  })

  test('who follows a command hears at once that it ended with what nobody could read', async () => {
    // Answers rest in proportion to how long the last ones took: as if that were no time at all.
    const still = vi.spyOn(performance, 'now').mockReturnValue(0)
    onTestFinished(() => still.mockRestore())
    for (let time = 0; time < 3; time++) await world.pass(1_000)
    const { body } = await world.api('POST', `/devices/${device.facts.udid}/restart`)
    for (let time = 0; time < 3; time++) {
      expect(await idle()).toBe(body.command_uuid)
      await put(Buffer.from('nonsense'))
    }
    const left = () =>
      database()
        .kysely.selectFrom('command_answers')
        .where('command_uuid', '=', body.command_uuid)
        .select('seq')
        .execute()
    expect(await left()).toHaveLength(1)
    // Too soon for the job that is the net below.
    world.clock.advance(200)
    while ((await left()).length > 0) await world.settle()
  })

  test('a NotNow is an answer: the command goes out at every Idle, as often as it takes', async () => {
    const uuid = await queue()
    for (let time = 0; time < 6; time++) {
      expect(await idle()).toBe(uuid)
      expect(given(await answer({ Status: 'NotNow', CommandUUID: uuid }))).toBeUndefined()
    }
    expect(await deliveryOf(uuid)).toMatchObject({ state: 'not_now', not_now_count: 6 })
    expect(await idle()).toBe(uuid)
    await answer({ Status: 'Acknowledged', CommandUUID: uuid })
    expect((await deliveryOf(uuid)).state).toBe('acknowledged')
  })

  test('an odd value that is optional does not decide over a check-in', async () => {
    const update = writePlist({
      ...TOKEN_UPDATE,
      ...{ Topic: TOPIC, UDID: device.facts.udid, PushMagic: 'with odd ones' },
      ...{ UnlockToken: 'ODD', NotOnConsole: 'ODD', Later: 'ODD' },
    })
    const body = Buffer.from(update.replaceAll('<string>ODD</string>', '<date>10000-01-01T00:00:00Z</date>'))
    const signer = identityOf(device)
    expect((await putMessage(`${world.url}/mdm/checkin`, body, { signer, type: CHECK_IN })).status).toBe(200)
    const row = await database()
      .kysely.selectFrom('enrollments')
      .select('push_magic')
      .where('id', '=', device.facts.udid)
      .executeTakeFirst()
    expect(row?.push_magic).toBe('with odd ones')
    const bad = Buffer.from(body.toString().replace('with odd ones', 'with odd &who; ones'))
    expect((await putMessage(`${world.url}/mdm/checkin`, bad, { signer, type: CHECK_IN })).status).toBe(400)
  })
})
