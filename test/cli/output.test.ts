import { describe, expect, test } from 'vitest'
import { follow } from '../../src/cli/follow.ts'
import { ApiProblem, Unreachable } from '../../src/cli/client.ts'
import { formatRecord, formatTable } from '../../src/cli/table.ts'
import { useCli } from './harness.ts'

const cli = useCli()
const device = (id: string) => ({ id, serial_number: `S${id}`, state: 'enrolled', push: { state: 'ok' } })

describe('a list', () => {
  test('is a table, with a hint when more is left than was wanted', async () => {
    cli.replies.push({ body: { items: [device('1'), device('22')], next_cursor: 'c' } })
    const { code, out, err } = await cli.run(['devices', 'list', '--state', 'enrolled', '--limit', '2'])
    expect(code).toBe(0)
    expect(out.split('\n')).toEqual([
      'ID  SERIAL  STATE     PRODUCT  OS  USER  PUSH  LAST SEEN',
      '1   S1      enrolled  -        -   -     ok    -',
      '22  S22     enrolled  -        -   -     ok    -',
      '',
    ])
    expect(err).toBe('There are more: raise --limit, or leave it out.\n')
    expect(cli.requests.map(({ url }) => url)).toEqual(['/api/v1/devices?state=enrolled&limit=2'])
  })

  test('is JSON when asked for', async () => {
    const body = { items: [device('1')], next_cursor: null }
    cli.replies.push({ body })
    const { out } = await cli.run(['devices', 'list', '--output', 'json'])
    expect(JSON.parse(out)).toEqual(body)
  })

  test('is read to the end', async () => {
    cli.replies.push({ body: { items: [device('1')], next_cursor: 'c1' } })
    cli.replies.push({ body: { items: [device('2')], next_cursor: null } })
    const { out } = await cli.run(['devices', 'list', '--output', 'json'])
    expect(JSON.parse(out)).toEqual({ items: [device('1'), device('2')], next_cursor: null })
    expect(cli.requests.map(({ url }) => url)).toEqual([
      '/api/v1/devices?limit=1000',
      '/api/v1/devices?limit=1000&cursor=c1',
    ])
  })

  test('of events ends at the empty page, as their cursor never does', async () => {
    cli.replies.push({ body: { items: [{ id: '1', type: 'device.enrolled' }], next_cursor: '1' } })
    cli.replies.push({ body: { items: [], next_cursor: '1' } })
    const { out } = await cli.run(['events', 'list'])
    expect(out).toContain('device.enrolled')
    expect(cli.requests.map(({ url }) => url)).toEqual([
      '/api/v1/events?limit=1000',
      '/api/v1/events?limit=1000&after=1',
    ])
  })

  test('of nothing says so', async () => {
    cli.replies.push({ body: { items: [], next_cursor: null } })
    expect(await cli.run(['users', 'list'])).toEqual({ code: 0, out: '', err: 'Nothing.\n' })
  })
})

test('a verb without answer says that it is done where no data goes, in JSON nothing', async () => {
  expect(await cli.run(['users', 'delete', 'u'])).toEqual({ code: 0, out: '', err: 'Removed.\n' })
  expect((await cli.run(['users', 'delete', 'u', '--output', 'json'])).err).toBe('')
})

describe('a failure ends with 1', () => {
  test('a problem document is told in full', async () => {
    cli.replies.push({
      status: 400,
      body: {
        ...{ type: 'urn:x', title: 'The request is not valid.', status: 400, code: 'invalid_request' },
        ...{
          detail: 'uses must be >= 1',
          request_id: 'r-1',
          errors: [{ path: '/uses', message: 'too small' }],
        },
      },
    })
    const { code, out, err } = await cli.run(['enrollment-links', 'create', '--uses', '0'])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toBe('The request is not valid. (invalid_request, 400)\n  --uses: too small\nrequest r-1\n')
  })

  test('fields that are no options keep their names, and terminals are not told what to do', async () => {
    cli.replies.push({
      status: 400,
      body: {
        title: 'No.',
        detail: 'bad\u001b[2J',
        errors: [{ path: 'sub.field', message: 'is\u202e odd' }],
      },
    })
    const { err } = await cli.run(['enrollment-links', 'create'])
    expect(err).toBe('bad\\u001b[2J (400)\n  sub.field: is\\u202e odd\n')
  })

  test('so is an error that is no document', async () => {
    cli.replies.push({ status: 502 })
    expect(await cli.run(['users', 'list'])).toEqual({ code: 1, out: '', err: 'Bad Gateway (502)\n' })
  })

  test('and a server that is not there', async () => {
    const { code, err } = await cli.run(['users', 'list', '--url', 'http://127.0.0.1:9'])
    expect(code).toBe(1)
    expect(err).toMatch(/^http:\/\/127\.0\.0\.1:9 cannot be reached: /)
  })
})

describe('text', () => {
  test('of a record: nested objects indented, lists of objects as tables', () => {
    const record = {
      id: '1',
      push: { state: 'ok', reason: null },
      deliveries: [{ device_id: 'a', state: 'sent' }],
    }
    expect(formatRecord(record)).toBe(
      'id          1\npush\n  state   ok\n  reason  -\ndeliveries\n  DEVICE_ID  STATE\n  a          sent\n',
    )
  })

  test('cannot move the cursor of a terminal, nor turn its text around', () => {
    const odd = '\u001b[2Jphone\n\u009b1m\u202eno\u2066'
    expect(formatTable([{ name: odd }])).toBe(String.raw`NAME
\u001b[2Jphone\n\u009b1m\u202eno\u2066
`)
    expect(formatRecord({ name: odd })).toContain(String.raw`\u001b[2Jphone\n\u009b1m\u202eno\u2066`)
  })

  test('a table is cut to the width of a terminal, the widest column first, and never in a pipe', () => {
    const row = { id: '1234', name: 'x'.repeat(100), note: 'y'.repeat(30) }
    expect(formatTable([row])).toContain('x'.repeat(100))
    const lines = formatTable([row], undefined, 60).trimEnd().split('\n')
    expect(lines[1]).toBe(`1234  ${'x'.repeat(25)}…  ${'y'.repeat(25)}…`)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60)
  })

  test('characters that take two columns are counted as two', () => {
    const [, first, second] = formatTable([
      { name: '佐藤さん', id: 'a' },
      { name: 'Ada', id: 'b' },
    ]).split('\n')
    expect(first).toBe('佐藤さん  a')
    expect(second).toBe('Ada       b')
    expect(formatTable([{ name: '佐'.repeat(20) }], undefined, 9).split('\n')[1]).toBe('佐佐佐佐…')
  })
})

describe('events follow', () => {
  /** Follows over these streams, then stops. */
  async function followed(answers: (string | Error)[], query: Record<string, string> = {}) {
    const stop = new AbortController()
    const asked: unknown[] = []
    let text = ''
    let warnings = ''
    await follow({
      api: ({ path, query: parameters, headers }) => {
        asked.push([path, parameters, headers?.['last-event-id']])
        const next = answers.shift() ?? ''
        if (answers.length === 0) stop.abort()
        return next instanceof Error ? Promise.reject(next) : Promise.resolve(new Blob([next]).stream())
      },
      ...{ query, output: 'json', signal: stop.signal, intervalMs: 1 },
      write: (line) => (text += line),
      warn: (line) => (warnings += line),
    })
    const ids = text
      .split('\n')
      .flatMap((line) => (line === '' ? [] : (JSON.parse(line) as { id: string }).id))
    return { asked, ids, warnings }
  }

  const told = (id: string) => `id: ${id}\ndata: {"id":"${id}","type":"device.enrolled"}\n\n`
  const unavailable = new ApiProblem({ status: 503, title: 'busy' })

  test('goes on after what it has seen, and waits for a server that is away', async () => {
    const answers = [`: events\nid: 6\n\n${told('8')}`, new Unreachable('gone'), unavailable, told('9'), '']
    expect(await followed(answers, { after: '6', type: 'device.enrolled' })).toEqual({
      asked: [undefined, '8', '8', '8', '9'].map((last) => [
        '/events/stream',
        { after: '6', type: 'device.enrolled' },
        last,
      ]),
      ids: ['8', '9'],
      warnings: 'gone; trying again\nbusy; trying again\n',
    })
  })

  test('does not lose what came before its first event, nor show what is cut off in the middle', async () => {
    const { asked, ids } = await followed([
      `: from here\r\nid: 4\r\n\r\n${told('5').slice(0, 20)}`,
      told('5'),
    ])
    expect([asked, ids]).toEqual([
      [4, 5].map((_, n) => ['/events/stream', {}, n === 0 ? undefined : '4']),
      ['5'],
    ])
  })

  test('ends with what the server refuses', async () => {
    const gone = new ApiProblem({ status: 410, title: 'gone', code: 'cursor_gone' })
    await expect(followed([gone, ''])).rejects.toBe(gone)
  })
})
