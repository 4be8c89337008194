import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { as, httpWorld } from '../support/http-world.ts'

const operator: FastifyPluginAsyncTypebox = async (app) => {
  const body = Type.Object({ name: Type.String() })
  app.post('/things', { config: { role: 'operator' }, schema: { body } }, async (request) => request.body)
  for (const code of ['23503', '23505', '22021', '22008'])
    app.get(`/database/${code}`, { config: { role: 'viewer' } }, async () => {
      throw Object.assign(new Error('a secret of the database'), { code })
    })
}

async function world() {
  const { http } = await httpWorld({ scopes: { operator } })
  return { inject: http.operator.inject.bind(http.operator) }
}

describe('what an odd body costs', () => {
  const send = async (payload: string) => {
    const { inject } = await world()
    const headers = { ...as('admin'), 'content-type': 'application/json' }
    return inject({ method: 'POST', url: '/api/v1/things', headers, payload })
  }

  test('as many values as are never meant are refused before they are looked at', async () => {
    const keys = Array.from({ length: 10_001 }, (_, at) => `"k${at}":1`).join(',')
    const answer = await send(`{${keys}}`)
    expect([answer.statusCode, answer.json().code]).toEqual([413, 'too_many_values'])
    const list = await send(`[${'0,'.repeat(100_000)}0]`)
    expect([list.statusCode, list.json().code]).toEqual([413, 'too_many_values'])
    const large = await send(`{"name":"${'a'.repeat(256 * 1024)}"}`)
    expect([large.statusCode, large.json().code]).toEqual([413, 'payload_too_large'])
  })

  test('an answer names no more than is worth reading', async () => {
    const keys = Array.from({ length: 4_000 }, (_, at) => `"k${at}":1`).join(',')
    const many = await send(`{"name":"a",${keys}}`)
    expect(many.statusCode).toBe(400)
    expect(many.json().errors).toContainEqual({
      ...{ pointer: '/k0', detail: 'is not known here' },
      ...{ path: 'k0', message: 'is not known here' },
    })
    expect(many.json().errors.length).toBeLessThanOrEqual(100)
    const long = await send(`{"${'k'.repeat(200_000)}":1}`)
    expect(long.statusCode).toBe(400)
    expect(long.body.length).toBeLessThan(3_000)
  })
})

test.each([
  ['23503', 409, 'conflict'],
  ['23505', 409, 'conflict'],
  ['22021', 400, 'invalid_request'],
  ['22008', 400, 'invalid_request'],
])('what the database refuses with %s is a %i', async (sqlState, status, code) => {
  const { inject } = await world()
  const answer = await inject({ url: `/api/v1/database/${sqlState}`, headers: as('viewer') })
  expect([answer.statusCode, answer.json().code]).toEqual([status, code])
  expect(answer.body).not.toContain('secret')
})
