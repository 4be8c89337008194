import { describe, expect, test } from 'vitest'
import { TOPIC } from './scripted-server.ts'
import { useStage } from './enrolled.ts'

const stage = useStage()

describe('a good server', () => {
  test('enrols a device: profile, SCEP by POST, Authenticate, TokenUpdate', async () => {
    const { server } = stage
    const device = stage.device()
    expect(await device.enroll({ url: `${server.url}/profile` })).toEqual({ enrolled: true })
    expect(device.status()).toBe('enrolled')
    expect(device.violations()).toEqual([])
    expect(server.scepMethods).toEqual(['POST'])
    const [authenticate, update] = server.seen.map(({ message }) => message)
    expect(authenticate).toMatchObject({
      MessageType: 'Authenticate',
      Topic: TOPIC,
      UDID: device.facts.udid,
      SerialNumber: device.facts.serialNumber,
    })
    expect(update).toMatchObject({ MessageType: 'TokenUpdate', Topic: TOPIC, UDID: device.facts.udid })
    expect(update).toHaveProperty('Token.length', 32)
    expect(update).toHaveProperty('UnlockToken.length', 256)
    expect(server.seen.map(({ signer }) => signer)).toEqual([
      device.identity()?.certificate.fingerprint,
      device.identity()?.certificate.fingerprint,
    ])
  })

  test('without POSTPKIOperation gets the request by GET', async () => {
    stage.server.scep = { capabilities: 'SHA-256\nAES\nDES3\n' }
    const device = await stage.enrolled()
    expect(stage.server.scepMethods).toEqual(['GET'])
    expect(device.violations()).toEqual([])
  })

  test('a user enrollment names neither UDID nor serial number', async () => {
    await stage.enrolled({ enrollmentId: 'personal-1' })
    const [authenticate, update] = stage.server.seen.map(({ message }) => message)
    expect(authenticate).toMatchObject({ EnrollmentID: 'personal-1' })
    expect(authenticate).not.toHaveProperty('UDID')
    expect(authenticate).not.toHaveProperty('SerialNumber')
    expect(update).not.toHaveProperty('UnlockToken')
  })

  test('enrolling again means a new certificate and a new token', async () => {
    const device = await stage.enrolled()
    const before = device.identity()?.certificate.fingerprint
    expect(await device.enroll({ url: `${stage.server.url}/profile` })).toEqual({ enrolled: true })
    expect(device.identity()?.certificate.fingerprint).not.toBe(before)
    const tokens = stage.server.seen
      .map(({ message }) => message['Token'])
      .filter((token) => token !== undefined)
    expect(tokens).toHaveLength(2)
    expect(tokens[0]).not.toEqual(tokens[1])
  })
})

describe('a server that refuses', () => {
  test.each([
    ['the link', () => (stage.server.profileReply = { status: 403 }), 'profile', 'the link answered 403'],
    ['the certificate', () => (stage.server.scep = { refuse: true }), 'certificate', 'FAILURE badRequest'],
    [
      'Authenticate',
      () => stage.server.script.set('Authenticate', [{ status: 403 }]),
      'authenticate',
      'the server answered 403',
    ],
    [
      'TokenUpdate',
      () => stage.server.script.set('TokenUpdate', [{ status: 400 }]),
      'token_update',
      'the server answered 400',
    ],
  ])('%s ends the enrollment without being a violation', async (_, arrange, step, reason) => {
    arrange()
    const device = stage.device()
    const outcome = await device.enroll({ url: `${stage.server.url}/profile` })
    expect(outcome).toMatchObject({ enrolled: false, step, lost: false })
    expect(outcome).toHaveProperty('reason', expect.stringContaining(reason))
    expect(device.status()).toBe('new')
    expect(device.violations()).toEqual([])
  })

  test('a 401 to Authenticate is a violation', async () => {
    stage.server.script.set('Authenticate', [{ status: 401 }])
    const device = stage.device()
    expect(await device.enroll({ url: `${stage.server.url}/profile` })).toMatchObject({ enrolled: false })
    expect(stage.kinds(device)).toEqual(['unauthorized'])
  })

  test('one that is away makes the device try later', async () => {
    stage.server.script.set('Authenticate', [{ cut: true }, { cut: true }, { cut: true }])
    const outcome = await stage.device().enroll({ url: `${stage.server.url}/profile` })
    expect(outcome).toMatchObject({ enrolled: false, step: 'authenticate', lost: true })
  })
})

describe('a server that does it wrong', () => {
  test('the profile has the wrong content type', async () => {
    stage.server.profileReply = { type: 'application/xml' }
    const device = stage.device()
    expect(await device.enroll({ url: `${stage.server.url}/profile` })).toMatchObject({ step: 'profile' })
    expect(stage.kinds(device)).toEqual(['wrong_content_type'])
  })

  test('the profile is not signed', async () => {
    stage.server.profileReply = { body: '<plist><dict/></plist>' }
    const device = stage.device()
    const outcome = await device.enroll({ url: `${stage.server.url}/profile` })
    expect(outcome).toMatchObject({
      step: 'profile',
      reason: expect.stringContaining('PayloadType') as string,
    })
    expect(stage.kinds(device)).toEqual(['profile_invalid'])
  })

  test('SCEP answers with another content type', async () => {
    stage.server.scep = { type: 'text/html' }
    const device = await stage.enrolled()
    expect(stage.kinds(device)).toEqual(['wrong_content_type'])
  })

  test('a check-in message is answered with something', async () => {
    stage.server.script.set('TokenUpdate', [{ body: 'thank you' }])
    const device = await stage.enrolled()
    expect(stage.kinds(device)).toEqual(['body_not_empty'])
  })
})
