import { afterAll, describe, expect, test } from 'vitest'
import { createThreadPool } from '../../../src/kernel/threads.ts'
import {
  createMessageReader,
  messageWorkerScript,
  packBytes,
  readCheckin,
  readResult,
  unpackBytes,
} from '../../../src/protocol/mdm/index.ts'
import { refusal } from '../../support/refusal.ts'
import { message, TOPIC, UDID } from './fixtures.ts'

const threads = createThreadPool({ script: messageWorkerScript, size: 1 })
const lanes = createMessageReader(threads)
const reader = {
  readResult: (body: Buffer) => lanes.readResult(body, 'sender'),
  readCheckin: (body: Buffer) => lanes.readCheckin(body, 'sender'),
  readList: lanes.readList,
}
afterAll(() => threads.close())

const apps = Array.from({ length: 20_000 }, (_, i) => ({ Identifier: `com.example.app${i}`, BundleSize: i }))
const large = message({ Status: 'Acknowledged', CommandUUID: 'A', InstalledApplicationList: apps })

describe('a small result', () => {
  const keys = { Status: 'Acknowledged', CommandUUID: 'A', RequestType: 'DeviceInformation' }

  test('is read at once', () => {
    const body = message({ ...keys, QueryResponses: { OSVersion: '18.1' } })
    const result = reader.readResult(body)
    expect(result).not.toBeInstanceOf(Promise)
    expect(result).toEqual({
      status: 'Acknowledged',
      commandUuid: 'A',
      requestType: 'DeviceInformation',
      identity: { id: UDID, type: 'device', deviceId: UDID, udid: UDID },
      inventory: {
        kind: 'device_information',
        facts: { osVersion: '18.1' },
        packed: packBytes(Buffer.from('{"OSVersion":"18.1"}')),
      },
      packed: packBytes(body),
    })
  })

  test('has its error chain as JSON, and no inventory unless acknowledged', () => {
    const body = message({ ...keys, Status: 'Error', QueryResponses: {}, ErrorChain: [{ ErrorCode: 5 }] })
    const result = readResult(body)
    expect(result.errorChain).toBe('[{"ErrorCode":5}]')
    expect(result.inventory).toBeUndefined()
  })
})

describe('a large message', () => {
  test('is read on a thread, and gives what it gives here', async () => {
    expect(large.length).toBeGreaterThan(256 * 1024)
    const moved = Buffer.from(new Uint8Array(large))
    const pending = reader.readResult(moved)
    expect(pending).toBeInstanceOf(Promise)
    const { returned, ...result } = await pending
    expect(result).toEqual(readResult(large))
    // The body went there and back without a copy.
    expect(moved).toHaveLength(0)
    expect(returned?.equals(large)).toBe(true)
    expect(Buffer.isBuffer(result.packed) && Buffer.isBuffer(result.inventory?.packed)).toBe(true)
    const json = unpackBytes(result.inventory?.packed ?? Buffer.alloc(0), 10_000_000).toString()
    expect(JSON.parse(json)).toEqual(apps)
    expect(unpackBytes(result.packed, large.length).equals(large)).toBe(true)
    expect(result.packed.length).toBeLessThan(large.length / 4)
  })

  test('check-ins too', async () => {
    const status = {
      MessageType: 'DeclarativeManagement',
      Endpoint: 'status',
      Data: Buffer.alloc(300_000, 1),
    }
    const body = message(status)
    const { returned, ...read } = await reader.readCheckin(Buffer.from(body))
    expect(read).toEqual(readCheckin(body))
    expect(returned?.equals(body)).toBe(true)
    expect(read.message).not.toHaveProperty('raw')
    expect(read.message).toMatchObject({
      messageType: 'DeclarativeManagement',
      data: Buffer.alloc(300_000, 1),
    })
  })

  test('of which not all can be read is an answer all the same, with what can be read', async () => {
    const broken = Buffer.from(large)
    broken.write('<wrong', 200_000)
    const { returned, ...result } = await reader.readResult(Buffer.from(broken))
    expect(result).toEqual(readResult(broken))
    expect(result).toMatchObject({ status: 'Acknowledged', commandUuid: 'A', unreadable: expect.any(String) })
    expect(returned?.equals(broken)).toBe(true)
    expect(unpackBytes(result.packed, broken.length).equals(broken)).toBe(true)
  })

  test('is refused with the same reason', async () => {
    const broken = Buffer.from(large.toString().replaceAll('CommandUUID', 'commanduuid'))
    broken.write('<wrong', 200_000)
    const here = refusal(() => readResult(broken))
    expect(here?.code).toBe('plist_invalid')
    await expect(reader.readResult(Buffer.from(broken))).rejects.toMatchObject({
      code: 'plist_invalid',
      message: here?.message,
    })
    const nobody = message({ Status: 'Idle', UDID: undefined, Padding: Buffer.alloc(300_000) })
    await expect(reader.readResult(nobody)).rejects.toMatchObject({ code: 'message_invalid' })
  })

  test('the message of a check-in is whole after the way between threads', async () => {
    const keys = { MessageType: 'TokenUpdate', Topic: TOPIC, Token: Buffer.alloc(32, 1), PushMagic: 'm' }
    const small = readCheckin(message(keys))
    const { message: read } = await reader.readCheckin(message({ ...keys, Padding: Buffer.alloc(300_000) }))
    expect(read).toEqual(small.message)
  })
})

test('packed bytes come back, and no more of them than is allowed', () => {
  for (const size of [0, 1, 8191, 8192, 100_000]) {
    const bytes = Buffer.alloc(size, 7)
    expect(unpackBytes(packBytes(bytes), size).equals(bytes)).toBe(true)
    if (size > 0) expect(refusal(() => unpackBytes(packBytes(bytes), size - 1))?.code).toBe('internal')
  }
  expect(refusal(() => unpackBytes(Buffer.from('garbage'), 100))?.message).toBe('Packed bytes cannot be read')
})
