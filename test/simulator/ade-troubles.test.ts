import { describe, expect, test } from 'vitest'
import { adeTroubles } from '../support/ade-troubles.ts'
import { GOOD_PROFILE, useAdeStage } from './ade-stage.ts'

const stage = useAdeStage()

describe('a bad day at Apple', () => {
  test.each([
    [adeTroubles.throttled(7), { kind: 'throttled', retryAfterMs: 7000 }],
    [adeTroubles.unavailable(3), { kind: 'unavailable', retryAfterMs: 3000 }],
    [adeTroubles.termsNotSigned, { kind: 'terms_not_signed' }],
    [adeTroubles.accessDenied, { kind: 'access_denied' }],
    ['html', { kind: 'malformed_answer' }],
    ['half', { kind: 'malformed_answer' }],
  ] as const)('%j', async (trouble, error) => {
    stage.ade.script('/account', trouble)
    expect(await stage.failure(stage.client.account())).toMatchObject(error)
  })

  test.each(['bare', 'quoted', 'json'] as const)('error words in the shape %s', async (shape) => {
    stage.ade.writeErrors(shape)
    stage.ade.script('/session', adeTroubles.tokenRejected)
    expect(await stage.failure(stage.client.account())).toMatchObject({
      kind: 'token_rejected',
      appleCode: 'token_rejected',
    })
  })

  test('calls before Retry-After has passed are noticed', async () => {
    stage.ade.script('*', 'right', adeTroubles.throttled(10))
    await stage.failure(stage.client.account())
    stage.clock.advance(9_000)
    await stage.client.account()
    expect(stage.kinds()).toEqual(['called_too_early'])
    stage.clock.advance(1_000)
    await stage.client.account()
    expect(stage.ade.violations).toHaveLength(1)
  })

  test('answers that are held, slow, or never come', async () => {
    const { ade, client } = stage
    await client.account()
    ade.script('/account', 'hold', 'reset', 'reset', { delayMs: 540_000 })
    const held = client.account()
    while (ade.held() === 0) await new Promise((resolve) => setImmediate(resolve))
    ade.release()
    await held
    expect(await stage.failure(client.account())).toMatchObject({ kind: 'unavailable' })
    ade.answerAll(adeTroubles.unavailable())
    expect(await stage.failure(client.account())).toMatchObject({ kind: 'unavailable' })
    ade.answerAll(null)
  })

  test('assigning by PUT alone', async () => {
    stage.ade.portal.addDevices(['A'], 'phones')
    const { profileUuid } = await stage.client.defineProfile(GOOD_PROFILE)
    stage.ade.assignByPutOnly(true)
    expect((await stage.client.assignProfile(profileUuid, ['A'])).devices.size).toBe(1)
  })
})

test('the portal by curl, and activation from afar', async () => {
  const portal = (method: string, path: string, body = '') =>
    fetch(`${stage.ade.url}/portal${path}`, { method, ...(body && { body }) })
  const made = await portal('POST', '/servers?name=by%20curl&apple_id=a@example.com', stage.certificatePem)
  const client = await stage.clientFor(Buffer.from(await made.arrayBuffer()))
  expect(await client.account()).toMatchObject({ serverName: 'by curl', adminId: 'a@example.com' })
  await portal('POST', '/servers/by%20curl/devices', 'ONE\nTWO\n')
  const { profileUuid } = await client.defineProfile(GOOD_PROFILE)
  await client.assignProfile(profileUuid, ['ONE'])
  expect(await (await portal('POST', '/devices/ONE/activation')).json()).toMatchObject({
    content: GOOD_PROFILE,
  })
  expect((await portal('POST', '/devices/TWO/activation')).status).toBe(404)
  expect((await portal('DELETE', '/devices/TWO')).status).toBe(204)
  expect(await (await portal('DELETE', '/devices/TWO')).json()).toEqual({
    error: 'the organisation has no device TWO',
  })
  expect((await portal('POST', '/servers/by%20curl/token', 'no pem')).status).toBe(422)
  expect((await portal('GET', '/')).status).toBe(404)
})
