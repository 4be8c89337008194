import { expect, test } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()
const hook = { id: 'w-1', name: 'mine', url: 'https://a.example/x', enabled: true, waiting: 0, dead: 2 }
const list = { body: { items: [hook], next_cursor: null } }

test('a webhook is made, and called by its name', async () => {
  cli.replies.push({ status: 201, body: { ...hook, secret: 'whsec_x' } })
  const words = ['webhooks', 'create', hook.url, '--type', 'user.created', '--type', 'user.deleted']
  expect((await cli.run([...words, '--shape', 'firstboot'])).out).toContain('whsec_x')
  expect(JSON.parse(cli.requests[0]?.body ?? '')).toEqual({
    url: hook.url,
    types: ['user.created', 'user.deleted'],
    shape: 'firstboot',
  })
  cli.replies.push(list, { status: 202, body: { events: 3 } })
  await cli.run(['webhooks', 'replay', 'mine', '--after', '7'])
  expect(cli.requests.at(-1)).toMatchObject({ url: '/api/v1/webhooks/w-1/replay', body: '{"after":"7"}' })
  cli.replies.push(list, { body: { items: [], next_cursor: null } })
  await cli.run(['webhooks', 'deliveries', 'mine', '--state', 'dead'])
  expect(cli.requests.at(-1)?.url).toBe('/api/v1/webhooks/w-1/deliveries?state=dead&limit=1000')
  cli.replies.push(list, { body: hook })
  await cli.run(['webhooks', 'update', 'mine', '--enabled', 'false', '--address', 'https://b.example'])
  expect(JSON.parse(cli.requests.at(-1)?.body ?? '')).toEqual({ enabled: false, url: 'https://b.example' })
})

test('what is dead is seen in the list', async () => {
  cli.replies.push(list)
  expect((await cli.run(['webhooks', 'list'])).out).toContain('DEAD')
  expect((await cli.run(['webhooks', 'deliveries', 'mine', '--state', 'lost'])).code).toBe(2)
})
