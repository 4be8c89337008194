import { expect, test } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()

const match = {
  ...{ kind: 'ade_device', id: 'F0STORY0002', title: 'F0STORY0002', reason: 'blocked' },
  ...{ sentence: 'It is \u001b[31mblocked.', next_step: 'Unblock it.', since: '2026-05-01T08:00:00.000Z' },
}

test('the words of a command line are one question, the answer is told in lines', async () => {
  const other = { ...match, kind: 'user', id: 'u', title: 'User ada', since: null }
  cli.replies.push({ body: { matches: [match, other] } })
  const { code, out } = await cli.run(['explain', 'Anna’s', 'iPhone'])
  expect(cli.requests[0]?.url).toBe('/api/v1/explain?q=Anna%E2%80%99s+iPhone')
  expect(code).toBe(0)
  expect(out).toBe(`F0STORY0002 (ade device F0STORY0002)
  why   It is \\u001b[31mblocked.
  next  Unblock it.
  code  blocked, since 2026-05-01T08:00:00.000Z

User ada (user u)
  why   It is \\u001b[31mblocked.
  next  Unblock it.
  code  blocked
`)
})

test('JSON is what the server answered; that nothing is known by it ends with 1', async () => {
  cli.replies.push({ body: { matches: [match] } })
  const { out } = await cli.run(['explain', 'x', '--output', 'json'])
  expect(JSON.parse(out)).toEqual({ matches: [match] })
  cli.replies.push({ body: { matches: [] } })
  expect(await cli.run(['explain', 'x'])).toMatchObject({
    code: 1,
    out: '',
    err: 'Nothing is known by that.\n',
  })
  expect((await cli.run(['explain'])).code).toBe(2)
})
