import { beforeAll, describe, expect, test } from 'vitest'
import { createMachineReader } from '../../../src/features/entry/power-on/machine.ts'
import { meetsMinimum } from '../../../src/features/entry/power-on/os-version.ts'
import { createLog } from '../../../src/kernel/log.ts'
import { createMachineInfoTrust, signMachineInfo } from '../../../src/protocol/ade/index.ts'
import { createFakeAppleCa, type FakeAppleCa } from '../../../src/simulator/index.ts'

const INFO = { UDID: 'udid-1', SERIAL: 'SERIAL1', PRODUCT: 'iPhone15,2', VERSION: '22B83' }

describe('what a device says of itself', () => {
  let ca: FakeAppleCa
  const lines: string[] = []
  const log = createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } })
  beforeAll(async () => {
    ca = await createFakeAppleCa(new Date())
  })

  const signed = async (info: Record<string, string>) =>
    signMachineInfo(info, await ca.deviceIdentity('SERIAL1'), { chain: ca.chain })

  test.each([
    ['enforce', false, false],
    ['log', true, true],
    ['off', true, false],
  ] as const)(
    'signed by a stranger: with %s it counts: %s, and is logged: %s',
    async (mode, counts, isLogged) => {
      lines.length = 0
      const reader = createMachineReader({ trust: createMachineInfoTrust({ mode }), log })
      const machine = await reader.fromBody(await signed(INFO))
      expect(machine).toMatchObject({ serial: 'SERIAL1', udid: 'udid-1' })
      expect(machine.distrust === undefined).toBe(counts)
      expect(lines.some((line) => line.includes('machine_info.untrusted'))).toBe(isLogged)
    },
  )

  test('without a body, a serial number or a UDID it is refused', async () => {
    const reader = createMachineReader({ trust: createMachineInfoTrust({ mode: 'off' }), log })
    const refusal = (problem: string) =>
      expect.objectContaining({ code: 'message_invalid', message: problem })
    await expect(reader.fromBody(undefined)).rejects.toThrow(refusal('MachineInfo: there is no body'))
    const { SERIAL: _serial, ...without } = INFO
    const body = await signed(without)
    await expect(reader.fromBody(body)).rejects.toThrow(refusal('MachineInfo: SERIAL or UDID is missing'))
    expect((await reader.fromHeader((await signed(INFO)).toString('base64'))).serial).toBe('SERIAL1')
  })
})

describe('the minimum OS', () => {
  const device = { product: 'iPhone12,1', version: '20D47', osVersion: undefined, osVersionExtra: undefined }

  test.each([
    ['18.1', undefined, '18.1', true],
    ['18.1', undefined, '18.2', false],
    ['18.10', undefined, '18.9', true],
    ['16.5.1', '(a)', '16.5.1 (c)', false],
    ['16.5.1', '(c)', '16.5.1 (c)', true],
  ])('%s %s against %s', (osVersion, osVersionExtra, minimum, isMet) => {
    expect(meetsMinimum({ ...device, osVersion, osVersionExtra }, minimum).isMet).toBe(isMet)
  })

  test('a device before iOS 17 tells it by its build; others that do not tell have not', () => {
    expect(meetsMinimum(device, '16.3')).toEqual({ isMet: true, osVersion: '16.3' })
    expect(meetsMinimum(device, '16.4').isMet).toBe(false)
    expect(meetsMinimum({ ...device, product: 'Mac14,2' }, '11.0')).toEqual({ isMet: false, osVersion: null })
  })
})
