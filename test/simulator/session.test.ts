import { describe, expect, test } from 'vitest'
import { command, useStage } from './enrolled.ts'

const stage = useStage()
const statuses = () => stage.server.seen.flatMap(({ message }) => message['Status'] ?? [])

describe('a session', () => {
  test('answers each command and ends with the empty answer', async () => {
    const device = await stage.enrolled()
    stage.server.queue.push(
      command('A', 'DeviceInformation', { Queries: ['SerialNumber', 'OSVersion', 'Nonsense'] }),
      command('B', 'MakeCoffee'),
      command('C', 'DeviceInformation'),
    )
    const report = await device.poll()
    expect(report).toEqual({
      end: 'idle',
      results: { Acknowledged: 1, Error: 1, CommandFormatError: 1, NotNow: 0 },
      pollsAgain: false,
    })
    expect(statuses()).toEqual(['Idle', 'Acknowledged', 'Error', 'CommandFormatError'])
    const [information, error] = stage.server.seen.slice(3).map(({ message }) => message)
    expect(information).toMatchObject({
      CommandUUID: 'A',
      QueryResponses: { SerialNumber: device.facts.serialNumber, OSVersion: device.facts.osVersion },
    })
    expect(error).toMatchObject({ ErrorChain: [{ ErrorCode: 12021, ErrorDomain: 'MCMDMErrorDomain' }] })
    expect(device.violations()).toEqual([])
    expect(device.results()).toMatchObject([
      { commandUuid: 'A', status: 'Acknowledged', acknowledged: true, times: 1 },
      { commandUuid: 'B', status: 'Error', acknowledged: true },
      { commandUuid: 'C', status: 'CommandFormatError', acknowledged: true },
    ])
  })

  test('NotNow as the last word makes the device poll by itself; the command may come again then', async () => {
    const device = await stage.enrolled({ mood: { script: { SecurityInfo: ['NotNow'] } } })
    stage.server.queue.push(command('A', 'SecurityInfo'))
    expect(await device.poll()).toMatchObject({ end: 'idle', pollsAgain: true })
    stage.server.queue.push(command('A', 'SecurityInfo'))
    expect(await device.poll()).toMatchObject({ pollsAgain: false, results: { Acknowledged: 1 } })
    expect(device.violations()).toEqual([])
    expect(device.results()).toMatchObject([{ commandUuid: 'A', status: 'Acknowledged', times: 2 }])
  })

  test('another status after NotNow takes the automatic poll away', async () => {
    const device = await stage.enrolled({ mood: { script: { SecurityInfo: ['NotNow'] } } })
    stage.server.queue.push(command('A', 'SecurityInfo'), command('B', 'ProfileList'))
    expect(await device.poll()).toMatchObject({ pollsAgain: false })
  })

  test('a result whose answer was lost may be asked for again', async () => {
    const device = await stage.enrolled()
    stage.server.queue.push(command('A', 'ProfileList'))
    stage.server.script.set('Acknowledged', [{ cut: true }, { cut: true }, { cut: true }])
    expect(await device.poll()).toMatchObject({ end: 'later', results: { Acknowledged: 0 } })
    expect(device.results()).toMatchObject([{ acknowledged: false }])
    stage.server.script.clear()
    stage.server.queue.push(command('A', 'ProfileList'))
    expect(await device.poll()).toMatchObject({ end: 'idle', results: { Acknowledged: 1 } })
    expect(device.violations()).toEqual([])
  })

  test('an app list can be as large as ten megabytes', async () => {
    const device = await stage.enrolled({ appCount: 14_000 })
    stage.server.queue.push(command('A', 'InstalledApplicationList'))
    await device.poll()
    const list = stage.server.seen.at(-1)?.message['InstalledApplicationList'] as unknown[]
    expect(list).toHaveLength(14_000)
  })
})

describe('a violation is', () => {
  test('a command again after NotNow in the same session', async () => {
    const device = await stage.enrolled({ mood: { script: { SecurityInfo: ['NotNow', 'NotNow'] } } })
    stage.server.queue.push(command('A', 'SecurityInfo'), command('A', 'SecurityInfo'))
    await device.poll()
    expect(stage.kinds(device)).toEqual(['repeated_after_not_now'])
  })

  test('a command again after its final answer', async () => {
    const device = await stage.enrolled()
    stage.server.queue.push(command('A', 'ProfileList'))
    await device.poll()
    stage.server.queue.push(command('A', 'ProfileList'))
    await device.poll()
    expect(stage.kinds(device)).toEqual(['repeated_after_final_answer'])
  })

  test('a device command on a user channel', async () => {
    const device = await stage.enrolled()
    const { channel } = await device.signIn({ UserID: 'U1', UserShortName: 'ada', UserLongName: 'Ada' })
    stage.server.queue.push(command('A', 'EraseDevice'))
    await device.poll(channel)
    expect(stage.kinds(device)).toEqual(['wrong_channel'])
    expect(stage.server.seen.at(-1)?.message).toMatchObject({ UDID: device.facts.udid, UserID: 'U1' })
  })

  test.each([
    ['text that is no plist', { type: 'application/xml', body: 'hello' }, 'invalid_body'],
    [
      'a plist without a command',
      { type: 'application/xml', body: '<plist><dict/></plist>' },
      'invalid_body',
    ],
    ['a status 400', { status: 400 }, 'unexpected_status'],
    ['a redirect', { status: 302 }, 'unexpected_status'],
    ['a 401', { status: 401 }, 'unauthorized'],
    ['no HTTP at all', { raw: 'HTTP/1.1 banana\r\n\r\n' }, 'malformed_http'],
    [
      'two Content-Lengths',
      { raw: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab' },
      'malformed_http',
    ],
  ])('%s in answer to Idle', async (_, reply, kind) => {
    const device = await stage.enrolled()
    stage.server.script.set('Idle', [reply])
    await device.poll()
    expect(stage.kinds(device)).toEqual([kind])
  })

  test('a command with the content type of a page', async () => {
    const device = await stage.enrolled()
    const body =
      '<plist><dict><key>CommandUUID</key><string>A</string><key>Command</key><dict><key>RequestType</key><string>ProfileList</string></dict></dict></plist>'
    stage.server.script.set('Idle', [{ type: 'text/html', body }])
    await device.poll()
    expect(stage.kinds(device)).toEqual(['wrong_content_type'])
  })
})

test('a 503 is no violation: the device comes later', async () => {
  const device = await stage.enrolled()
  stage.server.script.set('Idle', [{ status: 503 }])
  expect(await device.poll()).toMatchObject({ end: 'later' })
  expect(device.violations()).toEqual([])
})

test('com.apple.unrecognized.device ends the enrollment on the device', async () => {
  const device = await stage.enrolled()
  stage.server.script.set('Idle', [
    { status: 403, type: 'application/json', body: '{"code":"com.apple.unrecognized.device"}' },
  ])
  expect(await device.poll()).toMatchObject({ end: 'unmanaged' })
  expect(device.status()).toBe('removed')
  expect(device.violations()).toEqual([])
})
