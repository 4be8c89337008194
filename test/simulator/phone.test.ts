import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createHttpClient } from '../../src/kernel/http-client.ts'
import {
  createAdeClient,
  createMachineInfoTrust,
  openServerToken,
  readMachineInfo,
  softwareUpdateRequired,
} from '../../src/protocol/ade/index.ts'
import { createLeaf, parseCertificate, readPem, writePem } from '../../src/protocol/x509/index.ts'
import {
  createApnsCertificates,
  createDeviceHttp,
  createPhoneMaker,
  deliverPushes,
  startFakeAde,
} from '../../src/simulator/index.ts'
import type { Phone } from '../../src/simulator/index.ts'
import { TEST_VALIDITY } from '../support/identities.ts'
import { testKey } from '../support/keys.ts'
import { command } from './enrolled.ts'
import { usePhoneStage } from './phone-stage.ts'
import type { Said } from './phone-stage.ts'

const stage = usePhoneStage()
const challenge: Said = { status: 401, headers: { 'www-authenticate': 'Basic realm="Example AG"' } }
const alice = { userName: 'alice@example.com', passwords: ['wrong', 'gr\u00fcezi:1'] }

describe('out of the box', () => {
  test('a phone enrols by its signed MachineInfo alone', async () => {
    const phone = await stage.phone()
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'native', screen: 'Home Screen' })
    expect(phone.device.status()).toBe('enrolled')
    expect(phone.violations()).toEqual([])
    const [request] = stage.arrivals
    expect(request).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/pkcs7-signature', 'user-agent': 'DeviceManagementClient/1.0' },
    })
    const { info, signer, certificates } = readMachineInfo(request!.body)
    expect(info).toMatchObject({
      serial: phone.facts.serialNumber,
      udid: phone.facts.udid,
      osVersion: '18.1',
      canRequestSoftwareUpdate: false,
    })
    const caCertificates = readPem(stage.ca.pem).map(({ der }) => parseCertificate(der))
    expect(
      await createMachineInfoTrust({ mode: 'enforce', caCertificates }).judge(signer, certificates),
    ).toEqual({
      accepted: true,
      trusted: true,
    })
    expect((await createMachineInfoTrust({ mode: 'enforce' }).judge(signer, certificates)).accepted).toBe(
      false,
    )
  })

  test('an old system has no OS_VERSION; a liar says what it likes', async () => {
    const lie = { changeMachineInfo: (keys: object) => ({ ...keys, SERIAL: 'SOMEONE' }) }
    await (await stage.phone({}, lie, { osVersion: '16.7' })).powerOn()
    const { info } = readMachineInfo(stage.arrivals[0]!.body)
    expect(info).toMatchObject({ serial: 'SOMEONE', osVersion: undefined })
  })

  test('without a profile at Apple it is a private phone', async () => {
    const phone = await stage.phone({}, { activate: () => undefined })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'unmanaged', way: undefined })
    expect(stage.arrivals).toEqual([])
  })

  test('erased, it enrols again with another certificate', async () => {
    const phone = await stage.phone()
    await phone.powerOn()
    const before = phone.device.identity()?.certificate.fingerprint
    phone.erase()
    expect(phone.device.status()).toBe('erased')
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled' })
    expect(phone.device.identity()?.certificate.fingerprint).not.toBe(before)
  })
})

test('the addresses of an ADE profile are trusted by its anchors alone', async () => {
  const { ca, server } = await createApnsCertificates(new Date())
  const secure = createServer({ cert: server.certificate, key: server.key }, (_, response) => {
    void stage.server.signedProfile().then((body) => {
      response.setHeader('content-type', 'application/x-apple-aspen-config').end(body)
    })
  })
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve))
  const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/ade`
  const anchors = readPem(ca).map(({ der }) => der.toString('base64'))
  expect(await (await stage.phone({ url })).powerOn()).toMatchObject({ outcome: 'stuck' })
  expect(await (await stage.phone({ url, anchor_certs: anchors })).powerOn()).toMatchObject({
    outcome: 'enrolled',
  })
  await new Promise((resolve) => secure.close(resolve))
})

describe('the native form', () => {
  test('the person types until it is right', async () => {
    const expected = `Basic ${Buffer.from('alice@example.com:gr\u00fcezi:1').toString('base64')}`
    stage.desk = ({ headers }) => (headers.authorization === expected ? stage.profile() : challenge)
    const phone = await stage.phone({}, { person: alice })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', signInTries: 2 })
    expect(phone.violations()).toEqual([])
    expect(stage.arrivals).toHaveLength(3)
  })

  test('and gives up when nothing is left to type', async () => {
    stage.desk = () => challenge
    expect(await (await stage.phone({}, { person: alice })).powerOn()).toEqual({
      ...{ outcome: 'refused', way: 'native', httpStatus: 401, signInTries: 2, awaitedConfiguration: false },
      screen: 'Sign in to Example AG: user name and password (the user name or password is incorrect)',
      ...{ updatedTo: undefined, reason: undefined },
    })
    const phone = await stage.phone()
    expect(await phone.powerOn()).toMatchObject({ outcome: 'refused', signInTries: 0 })
    expect(await phone.powerOn(alice)).toMatchObject({ outcome: 'refused', signInTries: 2 })
  })

  test.each([{}, { 'www-authenticate': 'Digest realm="a"' }])(
    'a 401 with %j is a violation',
    async (headers) => {
      stage.desk = () => ({ status: 401, headers })
      const phone = await stage.phone({}, { person: alice })
      expect(await phone.powerOn()).toMatchObject({ outcome: 'stuck', signInTries: 0 })
      expect(stage.kinds(phone)).toEqual(['challenge_invalid'])
    },
  )
})

test('from the portal to the Home Screen', async () => {
  const { clock } = stage
  const ade = await startFakeAde({ clock, organization: 'Example AG' })
  const key = await createLeaf({ subject: [['CN', 'token']], key: testKey('other'), ...TEST_VALIDITY })
  const p7m = ade.portal.addServer({
    name: 'phones',
    certificatePem: writePem('CERTIFICATE', key.certificate.der),
  })
  const token = await openServerToken(p7m, [key])
  const http = createHttpClient({ timeoutMs: 10_000, maxBytes: 1 << 20, userAgent: 'test', clock })
  const client = createAdeClient({ baseUrl: ade.url, token, http, clock, userAgent: 'test' })
  const phone = await stage.phone({}, { activate: ade.activate })
  const { serialNumber } = phone.facts
  ade.portal.addDevices([serialNumber], 'phones')
  expect(await phone.powerOn()).toMatchObject({ outcome: 'unmanaged' })
  const { profileUuid } = await client.defineProfile({ profile_name: 'Phones', url: `${stage.front}/ade` })
  await client.assignProfile(profileUuid, [serialNumber])
  phone.erase()
  expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled' })
  expect(ade.device(serialNumber)).toMatchObject({ profileStatus: 'pushed', profilePushedAt: clock.now() })
  expect(ade.violations).toEqual([])
  http.close()
  await ade.close()
})

test('the same seed makes the same phones', async () => {
  const http = createDeviceHttp()
  const phones = async (seed: string) => {
    const make = createPhoneMaker({ http, ca: stage.ca, activate: () => undefined, seed })
    return [(await make()).facts, (await make({ facts: { osVersion: '15.0' } })).facts]
  }
  const first = await phones('a')
  expect(await phones('a')).toEqual(first)
  expect(first[1]).toMatchObject({ osVersion: '15.0' })
  expect(new Set([...first, ...(await phones('b'))].map(({ serialNumber }) => serialNumber)).size).toBe(4)
  http.close()
})

describe('refusals', () => {
  test('an empty 403 leaves the phone with nothing to say', async () => {
    stage.desk = () => ({ status: 403, headers: { 'x-request-id': '0190', 'cache-control': 'no-store' } })
    const phone = await stage.phone({}, {}, { modelName: 'iPhone' })
    expect(await phone.powerOn()).toMatchObject({
      outcome: 'refused',
      httpStatus: 403,
      screen: 'The configuration for your iPhone could not be downloaded from Example AG.',
    })
    expect(phone.violations()).toEqual([])
  })

  test.each<[string, Said, string[]]>([
    ['a body', { status: 403, body: 'over the limit' }, ['refusal_not_silent']],
    ['a hint in a header', { status: 403, headers: { 'x-reason': 'x' } }, ['refusal_not_silent']],
    ['a hint in a value', { status: 403, headers: { 'x-a': 'device_limit' } }, ['refusal_not_silent']],
    ['a 429 for ever', { status: 429 }, ['retry_after_missing']],
    ['a teapot', { status: 418 }, ['unexpected_status']],
    [
      'a profile all the same',
      { status: 404, headers: { 'content-type': 'application/x-apple-aspen-config' } },
      ['profile_with_refusal'],
    ],
  ])('%s is a violation', async (_, said, kinds) => {
    stage.desk = () => said
    const phone = await stage.phone()
    expect(await phone.powerOn()).toMatchObject({ outcome: 'refused' })
    expect(stage.kinds(phone)).toEqual(kinds)
  })

  test.each<[Said, number | undefined]>([
    [{ status: 429, headers: { 'retry-after': '30' } }, 429],
    [{ status: 404 }, 404],
    [{ status: 503 }, 503],
  ])('%j is none', async (said, httpStatus) => {
    stage.desk = () => said
    const phone = await stage.phone()
    expect(await phone.powerOn()).toMatchObject({
      outcome: httpStatus === 503 ? 'stuck' : 'refused',
      httpStatus,
    })
    expect(phone.violations()).toEqual([])
  })

  test('nobody there', async () => {
    const phone = await stage.phone({ url: 'http://127.0.0.1:1/ade' })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'stuck', httpStatus: undefined })
  })

  test('a 200 that is no profile', async () => {
    stage.desk = () => ({ headers: { 'content-type': 'text/html' }, body: '<p>Hello' })
    const phone = await stage.phone()
    expect(await phone.powerOn()).toMatchObject({
      outcome: 'stuck',
      screen: 'Invalid Profile',
      httpStatus: 200,
    })
    expect(stage.kinds(phone)).toEqual(['wrong_content_type'])
  })

  test('Authenticate refused rolls everything back', async () => {
    stage.server.script.set('Authenticate', [{ status: 403, body: 'limit' }])
    const phone = await stage.phone()
    expect(await phone.powerOn()).toMatchObject({
      outcome: 'refused',
      screen: 'Profile Installation Failed',
      httpStatus: 403,
      reason: 'authenticate: the server answered 403',
    })
    expect(stage.kinds(phone)).toEqual(['refusal_not_silent'])
  })
})

describe('software updates', () => {
  const demand = (osVersion: string, message?: string): Said => {
    const { status, contentType, body } = softwareUpdateRequired({ osVersion, ...(message && { message }) })
    return { status, body, headers: { 'content-type': contentType } }
  }

  test('a phone updates itself and asks again, with an empty form', async () => {
    stage.desk = ({ headers, body }) => {
      if (headers.authorization === undefined) return challenge
      return readMachineInfo(body).info.osVersion === '18.5' ? stage.profile() : demand('18.5')
    }
    const person = { userName: 'alice', passwords: ['a', 'b'] }
    const phone = await stage.phone({}, { newestOs: '26.0', person })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', updatedTo: '18.5', signInTries: 2 })
    expect(phone.facts.osVersion).toBe('18.5')
    expect(phone.violations()).toEqual([])
  })

  test('one for which there is none stays with the message', async () => {
    stage.desk = () => demand('26.4', 'Please update first.')
    const phone = await stage.phone({}, { newestOs: '26.0' })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'stuck', screen: 'Please update first.' })
    expect(phone.violations()).toEqual([])
  })

  test.each<[string, Said, string | undefined]>([
    ['to a phone that cannot', demand('18.5'), undefined],
    ['of an older version', demand('17.0'), '26.0'],
    ['without version', { ...demand(''), status: 403 }, '26.0'],
    ['as text', { ...demand('18.5'), headers: { 'content-type': 'text/plain' } }, '26.0'],
  ])('a demand %s is a violation', async (_, said, newestOs) => {
    stage.desk = () => said
    const phone = await stage.phone({}, newestOs === undefined ? {} : { newestOs })
    await phone.powerOn()
    expect(stage.kinds(phone)).toContain('update_demand_invalid')
  })
})

describe('erased by the server', () => {
  const erase = async (phone: Phone, keys = {}) => {
    stage.server.queue = [command('E', 'EraseDevice', keys)]
    expect(await phone.poll()).toMatchObject({ end: 'erased' })
  }

  test('with Return to Service it enrols by the profile that came, without asking anybody', async () => {
    const phone = await stage.phone()
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'native' })
    const asked = stage.arrivals.length
    const MDMProfileData = await stage.server.signedProfile()
    await erase(phone, { ReturnToService: { Enabled: true, MDMProfileData } })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: undefined })
    expect(stage.arrivals).toHaveLength(asked)
    expect(phone.device.status()).toBe('enrolled')
  })

  test('with one that is no profile it gets stuck', async () => {
    const phone = await stage.phone()
    await phone.powerOn()
    await erase(phone, { ReturnToService: { Enabled: true, MDMProfileData: Buffer.from('no') } })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'stuck', screen: 'Invalid Profile' })
  })

  test('without it, its person enrols it as before', async () => {
    const phone = await stage.phone()
    await phone.powerOn()
    await erase(phone)
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'native' })
  })
})

describe('held in Setup Assistant', () => {
  const listeners: ((token: string, magic: string) => void)[] = []
  const pushes = deliverPushes({ onPush: (listener) => void listeners.push(listener) })
  const push = () => {
    const { message } = stage.server.seen.findLast(
      ({ message: each }) => each['MessageType'] === 'TokenUpdate',
    )!
    const token = Buffer.from(message['Token'] as Uint8Array).toString('hex')
    listeners.forEach((listener) => listener(token, message['PushMagic'] as string))
  }
  const enrolled = async (phone: Phone) => {
    while (phone.device.status() !== 'enrolled') await new Promise((resolve) => setImmediate(resolve))
  }

  test('until DeviceConfigured comes by a push', async () => {
    const phone = await stage.phone({ await_device_configured: true }, { pushes })
    const done = phone.powerOn()
    await enrolled(phone)
    expect(stage.server.seen.at(-1)?.message).toMatchObject({ AwaitingConfiguration: true })
    stage.server.queue = [
      command('1', 'DeviceInformation', { Queries: ['OSVersion'] }),
      command('2', 'DeviceConfigured'),
    ]
    push()
    expect(await done).toMatchObject({ outcome: 'enrolled', awaitedConfiguration: true })
    await phone.idle()
    expect(phone.violations()).toEqual([])
    expect(phone.faults()).toEqual([])
    expect(pushes.strays()).toBe(0)
  })

  test('and goes on when the answer to DeviceConfigured got lost, which comes again', async () => {
    const phone = await stage.phone({ await_device_configured: true })
    const done = phone.powerOn()
    await enrolled(phone)
    phone.device.lose('before', 'DeviceConfigured')
    stage.server.queue = [command('1', 'DeviceConfigured')]
    await phone.poll()
    stage.server.queue = [command('1', 'DeviceConfigured')]
    await phone.poll()
    expect(await done).toMatchObject({ outcome: 'enrolled', awaitedConfiguration: true })
    expect(stage.server.seen.at(-1)?.message).toMatchObject({ CommandUUID: '1', Status: 'Error' })
  })

  test('or its patience ends', async () => {
    const phone = await stage.phone({ await_device_configured: true }, { configurationPatienceMs: 60_000 })
    const done = phone.powerOn()
    await enrolled(phone)
    stage.clock.advance(60_000)
    expect(await done).toMatchObject({
      outcome: 'stuck',
      screen: 'Awaiting final configuration from Example AG',
      awaitedConfiguration: false,
    })
    expect(stage.kinds(phone)).toEqual(['not_configured'])
  })

  test('not without supervision', async () => {
    const phone = await stage.phone({ await_device_configured: true, is_supervised: false })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', awaitedConfiguration: false })
    expect(stage.server.seen.at(-1)?.message).not.toHaveProperty('AwaitingConfiguration')
  })
})
