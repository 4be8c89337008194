import { describe, expect, test } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()
const page = (...items: object[]) => ({ body: { items, next_cursor: null } })
const phone = (id: string, rest: object = {}) => ({
  id,
  serial_number: `S-${id}`,
  state: 'enrolled',
  ...rest,
})

/** What is asked of the server for a command line, with these answers. */
async function asked(line: string, ...replies: { status?: number; body?: unknown }[]) {
  cli.replies.push(...replies)
  const { code, err } = await cli.run(line.split(' '))
  return {
    code,
    err,
    asked: cli.requests.map(({ method, url }) => `${method} ${url.slice('/api/v1'.length)}`),
  }
}

describe('a thing may be called', () => {
  test.each<[string, string, object[], string]>([
    ['a serial number', 's-A1', [phone('A1'), phone('A2', { device_name: 's-a1 too' })], 'A1'],
    ['a name', 'lobby', [phone('A1', { device_name: 'Lobby' }), phone('A2')], 'A1'],
    ['the beginning of an id', 'a1b', [phone('A1B2'), phone('A2')], 'A1B2'],
    ['an id that another one begins with', 'A1', [phone('A1'), phone('A1B2')], 'A1'],
    [
      'the serial number of a device that was enrolled before, and has users',
      'S-1',
      [
        phone('OLD', { serial_number: 'S-1', state: 'unenrolled' }),
        phone('NEW', { serial_number: 'S-1' }),
        phone('NEW:USER', { serial_number: 'S-1' }),
      ],
      'NEW',
    ],
  ])('%s', async (_what, given, items, id) => {
    const result = await asked(`devices push ${given}`, page(...items))
    expect(result).toEqual({
      ...{ code: 0, err: 'The push is on its way.\n' },
      asked: [`GET /devices?limit=1000&search=${given}`, `POST /devices/${id}/push`],
    })
  })

  test('its whole id, which is not looked up', async () => {
    for (const id of [
      '00008259-004C35C5752C2C86',
      '01a211f7-6ab7-72b1-998e-92c321710e00',
      'a'.repeat(40),
      '00008259-004C35C5752C2C86:ada',
    ]) {
      cli.requests.splice(0)
      const path = encodeURIComponent(id)
      expect((await asked(`devices push ${id}`)).asked).toEqual([`POST /devices/${path}/push`])
    }
  })

  test('something that nobody knows: the server says so', async () => {
    const result = await asked('users get nobody', page(), { status: 404, body: { title: 'There is none.' } })
    expect(result).toMatchObject({ code: 1, err: 'There is none. (404)\n' })
    expect(result.asked.at(-1)).toBe('GET /users/nobody')
  })

  test('something that several are: all of them are named, and nothing is done', async () => {
    const result = await asked('devices delete A', page(phone('A1'), phone('A2', { device_name: 'Two' })))
    expect(result).toMatchObject({ code: 2, asked: ['GET /devices?limit=1000&search=A'] })
    expect(result.err).toContain('"A" may be any of these devices:\n  A1 S-A1\n  A2 S-A2 Two\n')
  })

  test('in bodies and queries, several at once too', async () => {
    await asked(
      'commands send --type DeviceLock --device S-A1 --device S-A2',
      page(phone('A1')),
      page(phone('A2')),
    )
    expect(JSON.parse(cli.requests.at(-1)!.body)).toEqual({
      device_ids: ['A1', 'A2'],
      request_type: 'DeviceLock',
    })
    cli.requests.splice(0)
    const filtered = await asked(
      'ade-devices list --policy sales',
      page({ id: 'p-1', name: 'Sales' }),
      page(),
    )
    expect(filtered.asked).toEqual([
      'GET /enrollment-policies?limit=1000',
      'GET /ade-devices?policy_id=p-1&limit=1000',
    ])
    cli.requests.splice(0)
    await asked('ade-servers default-policy Phones none', page({ id: 's-1', name: 'Phones' }))
    expect(cli.requests.at(-1)).toMatchObject({
      body: '{"policy_id":null}',
      url: '/api/v1/ade-servers/s-1/default-policy',
    })
  })

  test('by who may not read the list, as it is', async () => {
    const result = await asked('groups get Sales', { status: 403 }, { body: { id: 'Sales' } })
    expect(result).toMatchObject({ code: 0, asked: ['GET /groups?limit=1000', 'GET /groups/Sales'] })
  })
})

describe('what was started', () => {
  const uuid = '01a211f7-6ab7-72b1-998e-92c321710e00'
  const device = '00008259-004C35C5752C2C86'
  const command = (...states: string[]) => ({
    body: { uuid, deliveries: states.map((state) => ({ state })) },
  })
  const send = `commands send --type DeviceLock --device ${device} --output json`

  test('is not waited for, unless it is asked for', async () => {
    expect((await asked(send, command('queued'))).asked).toEqual(['POST /commands'])
  })

  test.each([
    ['acknowledged', 0],
    ['error', 1],
    ['expired', 1],
  ])('ends as %s with exit code %i', async (state, code) => {
    const result = await asked(`${send} --wait 5m`, command('queued'), command(state))
    expect(result).toEqual({ code, err: '', asked: ['POST /commands', `GET /commands/${uuid}`] })
  })

  test('is waited for until the time is up', async () => {
    const result = await asked(`${send} --wait 0s`, command('queued'), command('sent'))
    expect(result).toMatchObject({ code: 1, asked: ['POST /commands', `GET /commands/${uuid}`] })
  })

  test('a sync that fails is a failure', async () => {
    const server = '01a211f7-6ab7-72b1-998e-92c321710e01'
    const line = `ade-servers sync ${server} --wait`
    const running = { body: { id: 'y', state: 'running' } }
    expect((await asked(line, running, { body: { id: 'y', state: 'failed' } })).code).toBe(1)
    expect((await asked(line, running, { body: { id: 'y', state: 'succeeded' } })).code).toBe(0)
  })

  test('an assignment that Apple refuses in part, and one that we do', async () => {
    const line = `enrollment-policies assign ${uuid} --serial-number F1`
    const done = { body: { changed: 1, unchanged: 0, problems: [] } }
    const at = (...states: string[]) => page(...states.map((state) => ({ assignment: { state } })))
    expect((await asked(line, done)).code).toBe(0)
    expect((await asked(`${line} --wait`, done, at('assigned'))).code).toBe(0)
    expect((await asked(`${line} --wait`, done, at('assigned', 'failed'))).code).toBe(1)
    expect((await asked(`${line} --wait 0s`, done, at('pending'))).code).toBe(1)
    const problems = { body: { changed: 0, unchanged: 0, problems: [{ serial_number: 'F1' }] } }
    expect((await asked(line, problems)).code).toBe(1)
  })
})
