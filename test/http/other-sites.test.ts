import type { FastifyPluginAsync } from 'fastify'
import { expect, test } from 'vitest'
import { TOKENS, as, httpWorld } from '../support/http-world.ts'

const nanomdm: FastifyPluginAsync = async (app) => {
  app.get('/v1/thing', { config: { role: 'operator' } }, async () => 'done')
}
const operator: FastifyPluginAsync = async (app) => {
  app.get('/thing', { config: { role: 'viewer' } }, async () => ({}))
}

const basic = { authorization: `Basic ${btoa(`nanomdm:${TOKENS.admin}`)}` }

test.each([
  ['the public address', { origin: 'http://firstboot.test' }, 200],
  ['the address that is asked', { origin: 'http://10.0.0.1:8080', host: '10.0.0.1:8080' }, 200],
  ['its host by another protocol', { origin: 'https://10.0.0.1:8080', host: '10.0.0.1:8080' }, 403],
  ['another port', { origin: 'http://10.0.0.1:9090', host: '10.0.0.1:8080' }, 403],
  ['nowhere', { origin: 'null' }, 403],
  ['another site', { origin: 'https://evil.example' }, 403],
  ['a proxy that is not ours', { origin: 'http://evil.example', 'x-forwarded-host': 'evil.example' }, 403],
])('a page of %s', async (_, headers, status) => {
  const { http } = await httpWorld({ scopes: { nanomdm }, config: { publicUrl: 'http://firstboot.test' } })
  const answer = await http.operator.inject({ url: '/v1/thing', headers: { ...basic, ...headers } })
  expect(answer.statusCode).toBe(status)
  // A browser is not made to ask for a password on behalf of somebody else.
  if (status === 403) expect(answer.headers['www-authenticate']).toBeUndefined()
})

test('the operator API gives no other site anything: no password a browser keeps, no CORS', async () => {
  const { http } = await httpWorld({ scopes: { operator } })
  const ask = (headers: Record<string, string>, method: 'GET' | 'OPTIONS' = 'GET', url = '/api/v1/thing') =>
    http.operator.inject({ method, url, headers: { origin: 'https://evil.example', ...headers } })
  expect((await ask(basic)).statusCode).toBe(401)
  const allowed = await ask(as('viewer'))
  expect(allowed.statusCode).toBe(200)
  expect(allowed.headers['cross-origin-resource-policy']).toBe('same-origin')
  const asked = await ask({ 'access-control-request-method': 'GET' }, 'OPTIONS')
  for (const answer of [allowed, asked, await ask(basic, 'GET', '/api/v1/openapi.json')])
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
})
