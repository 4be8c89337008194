import { expect, test } from 'vitest'
import {
  createDeviceHttp,
  createKeyPool,
  createPhoneDesk,
  createPhoneMaker,
  startFakeAde,
} from '../../src/simulator/index.ts'
import type { FakeAde, PhoneDesk } from '../../src/simulator/index.ts'
import { testKey } from '../support/keys.ts'
import { usePhoneStage } from './phone-stage.ts'

const stage = usePhoneStage()

async function withDesk(run: (ade: FakeAde, desk: PhoneDesk) => Promise<void>): Promise<void> {
  const http = createDeviceHttp()
  const { clock, ca } = stage
  const ade = await startFakeAde({ clock, powerOn: (...given) => desk.powerOn(...given) })
  const activate = (serialNumber: string) =>
    serialNumber === 'F0'
      ? { uuid: 'u', organization: 'Example AG', content: { url: `${stage.front}/ade` } }
      : undefined
  const keys = createKeyPool(1, [testKey('device')])
  const desk = createPhoneDesk(createPhoneMaker({ http, clock, ca, activate, keys }))
  try {
    await run(ade, desk)
  } finally {
    http.close()
    await ade.close()
  }
}

async function post(ade: FakeAde, serial: string, body?: string) {
  const response = await fetch(`${ade.url}/portal/devices/${serial}/power-on`, {
    method: 'POST',
    ...(body !== undefined && { body }),
  })
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> }
}

test('a phone is powered on over HTTP, and again after an erase', () =>
  withDesk(async (ade, desk) => {
    const { status, answer } = await post(ade, 'F0')
    expect(status).toBe(200)
    expect(answer).toMatchObject({
      serial_number: 'F0',
      outcome: 'enrolled',
      screen: 'Home Screen',
      way: 'native',
    })
    expect((await post(ade, 'F0')).answer).toMatchObject({ outcome: 'enrolled', udid: answer['udid'] })
    expect((await post(ade, 'F1')).answer).toMatchObject({ outcome: 'unmanaged', way: null })
    expect(desk.violations()).toEqual([])
  }))

test('somebody signs in on it', () =>
  withDesk(async (ade, desk) => {
    const right = `Basic ${Buffer.from('ada:secret').toString('base64')}`
    stage.desk = ({ headers }) =>
      headers.authorization === right
        ? stage.profile()
        : { status: 401, headers: { 'www-authenticate': 'Basic realm="Example AG"' } }
    expect((await post(ade, 'F0')).answer).toMatchObject({ outcome: 'refused', http_status: 401 })
    const { answer } = await post(ade, 'F0', '{"user_name":"ada","password":"secret"}')
    expect(answer).toMatchObject({ outcome: 'enrolled', sign_in_tries: 1 })
    stage.desk = () => ({ status: 403, body: 'no' })
    await post(ade, 'F0')
    expect(desk.violations().map(({ kind }) => kind)).toEqual(['refusal_not_silent'])
  }))

test.each(['{', '[]', '{"user_name":"ada"}', '{"user_name":"ada","password":1}', '{"user":"ada"}'])(
  'the body %s is refused',
  (body) =>
    withDesk(async (ade) => {
      const { status, answer } = await post(ade, 'F0', body)
      expect(status).toBe(422)
      expect(answer['error']).toContain('user_name, password')
    }),
)

test('a cloud without phones says so', async () => {
  const ade = await startFakeAde({ clock: stage.clock })
  const { status, answer } = await post(ade, 'F0')
  await ade.close()
  expect({ status, answer }).toEqual({ status: 404, answer: { error: 'there are no phones here' } })
})
