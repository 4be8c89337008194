import { describe, expect, test } from 'vitest'
import { SHARED_IPAD_USER_ID } from '../support/shared-ipad.ts'
import { TOPIC } from './scripted-server.ts'
import { command, useStage } from './enrolled.ts'

const stage = useStage()
const messages = (type: string) =>
  stage.server.seen.flatMap(({ message }) => (message['MessageType'] === type ? [message] : []))
const pushOf = (type = 'TokenUpdate', index = -1) => {
  const update = messages(type).at(index)
  const token = Buffer.from(update?.['Token'] as Uint8Array).toString('hex')
  return { token, magic: update?.['PushMagic'] as string, topic: TOPIC }
}

describe('profiles', () => {
  test('an update of the enrollment profile brings a new certificate, then a TokenUpdate by it', async () => {
    const device = await stage.enrolled()
    const before = device.identity()?.certificate.fingerprint
    stage.server.queue.push(command('A', 'InstallProfile', { Payload: await stage.server.signedProfile() }))
    expect(await device.poll()).toMatchObject({ results: { Acknowledged: 1 } })
    const now = device.identity()?.certificate.fingerprint
    expect(now).not.toBe(before)
    expect(messages('TokenUpdate')).toHaveLength(2)
    expect(messages('Authenticate')).toHaveLength(1)
    expect(stage.server.seen.at(-1)?.signer).toBe(now)
    expect(device.violations()).toEqual([])
  })

  test('an update that changes what is fixed is a violation, and refused', async () => {
    const device = await stage.enrolled()
    const Payload = await stage.server.signedProfile({ identifier: 'ch.example.other' })
    stage.server.queue.push(command('A', 'InstallProfile', { Payload }))
    expect(await device.poll()).toMatchObject({ results: { Error: 1 } })
    expect(stage.kinds(device)).toEqual(['profile_update_invalid'])
  })

  test('other profiles are installed, listed and removed', async () => {
    const device = await stage.enrolled()
    const payload = { PayloadType: 'com.apple.wifi.managed', PayloadVersion: 1, PayloadIdentifier: 'w.1' }
    const wifi = `<plist><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
      <key>PayloadIdentifier</key><string>ch.example.wifi</string><key>PayloadUUID</key><string>11111111-2222-4333-8444-555555555555</string>
      <key>PayloadContent</key><array><dict><key>PayloadType</key><string>${payload.PayloadType}</string><key>PayloadVersion</key><integer>1</integer>
      <key>PayloadIdentifier</key><string>w.1</string><key>PayloadUUID</key><string>11111111-2222-4333-8444-666666666666</string></dict></array></dict></plist>`
    stage.server.queue.push(
      command('A', 'InstallProfile', { Payload: Buffer.from(wifi) }),
      command('B', 'ProfileList'),
      command('C', 'RemoveProfile', { Identifier: 'ch.example.wifi' }),
      command('D', 'RemoveProfile', { Identifier: 'ch.example.wifi' }),
      command('E', 'InstallProfile', { Payload: Buffer.from('no profile') }),
    )
    expect(await device.poll()).toMatchObject({ results: { Acknowledged: 3, Error: 2 } })
    const list = stage.server.seen.find(({ message }) => message['CommandUUID'] === 'B')?.message[
      'ProfileList'
    ]
    expect(list).toMatchObject([
      { PayloadIdentifier: 'ch.example.mdm' },
      { PayloadIdentifier: 'ch.example.wifi', IsManaged: true },
    ])
    expect(stage.server.seen.find(({ message }) => message['CommandUUID'] === 'D')?.message).toMatchObject({
      ErrorChain: [{ ErrorCode: 12075 }],
    })
  })

  test('removing the enrollment profile makes the device check out', async () => {
    const device = await stage.enrolled()
    stage.server.queue.push(command('A', 'RemoveProfile', { Identifier: 'ch.example.mdm' }))
    expect(await device.poll()).toMatchObject({ end: 'removed', results: { Acknowledged: 1 } })
    expect(device.status()).toBe('removed')
    expect(messages('CheckOut')).toMatchObject([{ UDID: device.facts.udid, Topic: TOPIC }])
  })
})

test('an erased device says nothing more', async () => {
  const device = await stage.enrolled()
  stage.server.queue.push(command('A', 'EraseDevice'), command('B', 'ProfileList'))
  expect(await device.poll()).toMatchObject({ end: 'erased' })
  expect(device.status()).toBe('erased')
  expect(stage.server.seen.at(-1)?.message).toMatchObject({ CommandUUID: 'A', Status: 'Acknowledged' })
})

test('a device that awaits configuration says so until DeviceConfigured', async () => {
  const device = await stage.enrolled({ awaitConfiguration: true })
  expect(messages('TokenUpdate')[0]).toMatchObject({ AwaitingConfiguration: true })
  stage.server.queue.push(command('A', 'DeviceConfigured'))
  await device.poll()
  await device.updateToken()
  expect(messages('TokenUpdate')[1]).not.toHaveProperty('AwaitingConfiguration')
})

describe('check-in messages', () => {
  test('a Shared iPad user has a channel of its own', async () => {
    const device = await stage.enrolled({ sharedUsers: true })
    const { channel, answer } = await device.signIn({
      UserID: SHARED_IPAD_USER_ID,
      UserShortName: 'ada@example.ch',
    })
    expect(answer.kind).toBe('ok')
    stage.server.queue.push(command('A', 'ProfileList'))
    await device.poll(channel)
    expect(device.results(channel)).toMatchObject([{ commandUuid: 'A', status: 'Acknowledged' }])
    expect(device.results()).toEqual([])
    expect(device.receivePush(pushOf())).toBe(channel)
  })

  test('GetBootstrapToken gives the answer; UserAuthenticate may be refused with 410', async () => {
    const device = await stage.enrolled()
    stage.server.script.set('GetBootstrapToken', [
      {
        type: 'application/xml',
        body: '<plist><dict><key>BootstrapToken</key><data>AQI=</data></dict></plist>',
      },
    ])
    stage.server.script.set('UserAuthenticate', [{ status: 410 }, { status: 404 }])
    const token = await device.checkIn({ MessageType: 'GetBootstrapToken' })
    expect(token).toMatchObject({ kind: 'ok', answer: { BootstrapToken: Buffer.from([1, 2]) } })
    expect(await device.checkIn({ MessageType: 'UserAuthenticate', UserID: 'U' })).toMatchObject({
      status: 410,
    })
    expect(device.violations()).toEqual([])
    await device.checkIn({ MessageType: 'UserAuthenticate', UserID: 'U' })
    expect(stage.kinds(device)).toEqual(['unexpected_status'])
  })
})

describe('a push', () => {
  test('wakes the device', async () => {
    const device = await stage.enrolled()
    expect(device.receivePush(pushOf())).toBe(device.channels()[0])
    expect(device.violations()).toEqual([])
  })

  test.each([
    ['with another magic', { magic: 'x' }, 'push_wrong_magic'],
    ['with another topic', { topic: 'com.apple.mgmt.other' }, 'push_wrong_topic'],
    ['to a token of nobody', { token: 'ff' }, 'push_unknown_token'],
  ])('%s is a violation', async (_, change, kind) => {
    const device = await stage.enrolled()
    expect(device.receivePush({ ...pushOf(), ...change })).toBeUndefined()
    expect(stage.kinds(device)).toEqual([kind])
  })

  test('after CheckOut is a violation, but for those under way', async () => {
    const device = await stage.enrolled()
    await device.checkOut()
    device.receivePush(pushOf())
    expect(device.violations()).toEqual([])
    stage.clock.advance(6_000)
    device.receivePush(pushOf())
    expect(stage.kinds(device)).toEqual(['push_after_check_out'])
  })

  test('between a new Authenticate and its TokenUpdate is a violation', async () => {
    const device = await stage.enrolled()
    const before = pushOf()
    stage.server.script.set('TokenUpdate', [{ status: 400 }])
    await device.enroll({ url: `${stage.server.url}/profile` })
    stage.clock.advance(6_000)
    device.receivePush(before)
    expect(stage.kinds(device)).toEqual(['push_before_token'])
  })

  test('to a device that was erased is not the fault of the server, which cannot know', async () => {
    const device = await stage.enrolled()
    stage.server.queue.push(command('A', 'EraseDevice'))
    await device.poll()
    stage.clock.advance(3_600_000)
    expect(device.receivePush(pushOf())).toBeUndefined()
    expect(device.violations()).toEqual([])
  })

  test('to the old token still wakes a device whose TokenUpdate did not get through', async () => {
    const device = await stage.enrolled()
    const before = pushOf()
    stage.server.script.set('TokenUpdate', [{ status: 503 }])
    expect(await device.updateToken()).toMatchObject({ kind: 'later', status: 503 })
    stage.clock.advance(6_000)
    expect(device.receivePush(before)).toBe(device.channels()[0])
    await device.poll()
    expect(messages('TokenUpdate')).toHaveLength(3)
    stage.clock.advance(6_000)
    device.receivePush(before)
    expect(stage.kinds(device)).toEqual(['push_unknown_token'])
  })
})
