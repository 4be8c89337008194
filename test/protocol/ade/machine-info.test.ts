import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  createMachineInfoTrust,
  readMachineInfo,
  readMachineInfoHeader,
  signMachineInfo,
} from '../../../src/protocol/ade/index.ts'
import { writePlist } from '../../../src/protocol/plist/index.ts'
import { createLeaf, keyToPem, writePem } from '../../../src/protocol/x509/index.ts'
import type { Certificate, Identity } from '../../../src/protocol/x509/index.ts'
import { TEST_VALIDITY, testCa } from '../../support/identities.ts'
import { testKey } from '../../support/keys.ts'
import { openssl } from '../../support/openssl.ts'
import { refusal } from '../../support/refusal.ts'

const INFO = {
  UDID: '00008110-001A2B3C4D5E801E',
  SERIAL: 'F2LX1234ABCD',
  PRODUCT: 'iPhone15,2',
  VERSION: '22B83',
  OS_VERSION: '18.1',
  IMEI: '35 209900 176148 1',
  LANGUAGE: 'fr_CH',
  MDM_CAN_REQUEST_SOFTWARE_UPDATE: true,
  SOFTWARE_UPDATE_DEVICE_ID: 'iPhone15,2',
}

let root: Identity
let deviceCa: Identity
let device: Identity
let ecDevice: Identity
let chain: Certificate[]

beforeAll(async () => {
  root = await testCa()
  // Long expired, as Apple's own.
  const expired = { notBefore: new Date('2007-04-16T00:00:00Z'), notAfter: new Date('2014-04-16T00:00:00Z') }
  deviceCa = await createLeaf({
    subject: [['CN', 'Fake iPhone Device CA']],
    keyUsage: ['keyCertSign', 'cRLSign'],
    ca: {},
    issuer: root,
    key: testKey('other'),
    hash: 'sha1',
    ...expired,
  })
  const leaf = { issuer: deviceCa, ...TEST_VALIDITY }
  device = await createLeaf({ subject: [['CN', 'device']], key: testKey('device'), ...leaf })
  ecDevice = await createLeaf({ subject: [['CN', 'new device']], key: testKey('ec'), ...leaf })
  chain = [deviceCa.certificate, root.certificate]
})

const reasonOf = (message: Uint8Array | string) => {
  const error = refusal(() =>
    typeof message === 'string' ? readMachineInfoHeader(message) : readMachineInfo(message),
  )
  return error && `${error.code}: ${error.message}`
}

describe('reading', () => {
  test('every field, the signer and the chain', async () => {
    const message = await signMachineInfo(INFO, device, { chain })
    const { info, signer, certificates } = readMachineInfo(message)
    expect({ ...info, raw: { ...info.raw } }).toEqual({
      udid: INFO.UDID,
      serial: INFO.SERIAL,
      product: 'iPhone15,2',
      version: '22B83',
      osVersion: '18.1',
      osVersionExtra: undefined,
      supplementalBuildVersion: undefined,
      imei: INFO.IMEI,
      meid: undefined,
      language: 'fr_CH',
      canRequestSoftwareUpdate: true,
      softwareUpdateDeviceId: 'iPhone15,2',
      raw: INFO,
    })
    expect(signer.fingerprint).toBe(device.certificate.fingerprint)
    expect(certificates).toHaveLength(3)
  })

  test('the header of the web view', async () => {
    const header = (await signMachineInfo(INFO, ecDevice)).toString('base64')
    expect(readMachineInfoHeader(header).info.serial).toBe(INFO.SERIAL)
    expect(readMachineInfoHeader(header.replace(/.{76}/g, '$& ')).info.serial).toBe(INFO.SERIAL)
    expect(reasonOf('%%%')).toBe('message_invalid: MachineInfo: the header is no base64')
    expect(reasonOf('A'.repeat(200_000))).toContain('more than 65536 bytes')
  })

  test('a user enrollment names neither serial number nor UDID', async () => {
    const { info } = readMachineInfo(
      await signMachineInfo({ PRODUCT: 'iPhone15,2', VERSION: '21A1', LANGUAGE: 'de' }, device),
    )
    expect([info.serial, info.udid, info.osVersion, info.canRequestSoftwareUpdate]).toEqual([
      undefined,
      undefined,
      undefined,
      false,
    ])
  })

  test.each([
    ['sha1', 'rsa', []],
    ['sha256', 'rsa', []],
    ['sha1', 'rsa', ['-noattr']],
    ['sha256', 'rsa', ['-noattr']],
    ['sha256', 'ec', []],
    ['sha1', 'ec', ['-noattr']],
    ['sha256', 'rsa', ['-keyid', '-stream']],
  ])('openssl with %s, %s, %j', (md, kind, more) => {
    const signer = kind === 'ec' ? ecDevice : device
    for (const content of [Buffer.from(writePlist(INFO)), binaryPlist()]) {
      const made = openssl(
        [
          ...['cms', '-sign', '-binary', '-nodetach', '-md', md, '-outform', 'DER', '-in', 'info'],
          ...['-signer', 'cert.pem', '-inkey', 'key.pem', '-certfile', 'ca.pem', '-out', 'cms', ...more],
        ],
        {
          info: content,
          'cert.pem': writePem('CERTIFICATE', signer.certificate.der),
          'key.pem': keyToPem(signer.key),
          'ca.pem': writePem('CERTIFICATE', deviceCa.certificate.der),
        },
        ['cms'],
      )
      expect(made.stderr).toBe('')
      const read = readMachineInfo(made.files.cms)
      expect([read.info.serial, read.signer.fingerprint]).toEqual([
        INFO.SERIAL,
        signer.certificate.fingerprint,
      ])
    }
  })
})

/** {SERIAL, PRODUCT, VERSION} in the binary form, written by hand. */
function binaryPlist(): Buffer {
  const texts = ['SERIAL', 'PRODUCT', 'VERSION', INFO.SERIAL, INFO.PRODUCT, INFO.VERSION]
  const objects = [
    Buffer.from([0xd3, 1, 2, 3, 4, 5, 6]),
    ...texts.map((text) => Buffer.concat([Buffer.from([0x50 | text.length]), Buffer.from(text)])),
  ]
  const offsets: number[] = []
  let at = 8
  for (const object of objects) {
    offsets.push(at)
    at += object.length
  }
  const trailer = Buffer.alloc(32)
  trailer.set([1, 1], 6)
  trailer.writeBigUInt64BE(BigInt(objects.length), 8)
  trailer.writeBigUInt64BE(BigInt(at), 24)
  return Buffer.concat([Buffer.from('bplist00'), ...objects, Buffer.from(offsets), trailer])
}

describe('refusals', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a property list without signature', Buffer.from(writePlist(INFO))],
    ['noise', Buffer.alloc(100, 0x30)],
  ])('%s', (_, message) => {
    expect(reasonOf(message)).toMatch(/^message_invalid: MachineInfo: /)
  })

  test('one of a megabyte, at once', () => {
    expect(reasonOf(Buffer.alloc(1024 * 1024, 0x30))).toBe(
      'message_invalid: MachineInfo: more than 65536 bytes',
    )
  })

  test.each([
    ['no dictionary', 'text', 'the property list is no dictionary'],
    ['a number as serial number', { ...INFO, SERIAL: 7 }, 'SERIAL is no serial number'],
    ['no product', { ...INFO, PRODUCT: '' }, 'PRODUCT is missing or no sensible text'],
    ['a line end in the serial number', { ...INFO, SERIAL: 'A\nB' }, 'SERIAL is no serial number'],
    ['a serial number of a virtual Mac', { ...INFO, SERIAL: 'Z+4/1' }, 'SERIAL is no serial number'],
  ])('%s', async (_, info, reason) => {
    expect(reasonOf(await signMachineInfo(info as typeof INFO, device))).toBe(
      `message_invalid: MachineInfo: ${reason}`,
    )
  })

  test('not for what may be missing: of another type, or senseless, it counts as absent', async () => {
    const odd = {
      UDID: 'x'.repeat(300),
      OS_VERSION: 18.1,
      IMEI: ['35'],
      MEID: 'A\nB',
      LANGUAGE: { de: true },
    }
    const rest = {
      SOFTWARE_UPDATE_DEVICE_ID: 4,
      MDM_CAN_REQUEST_SOFTWARE_UPDATE: 'yes',
      SERIAL: 'f2lx1234abcd',
    }
    const { info } = readMachineInfo(await signMachineInfo({ ...INFO, ...odd, ...rest }, device))
    const absent = {
      udid: undefined,
      osVersion: undefined,
      imei: undefined,
      meid: undefined,
      language: undefined,
    }
    expect(info).toMatchObject({ ...absent, softwareUpdateDeviceId: undefined })
    expect([info.canRequestSoftwareUpdate, info.serial]).toEqual([false, INFO.SERIAL])
  })

  test('another serial number than the one that was signed', async () => {
    const message = await signMachineInfo(INFO, device)
    const at = message.indexOf(INFO.SERIAL)
    expect(at).toBeGreaterThan(0)
    message.write('F2LX9999ZZZZ', at)
    expect(reasonOf(message)).toMatch(/^message_invalid: MachineInfo: /)
  })

  test('whatever the bytes, a result or a refusal', async () => {
    const message = await signMachineInfo(INFO, ecDevice, { chain })
    fc.assert(
      fc.property(fc.nat(message.length - 1), fc.uint8Array({ minLength: 1, maxLength: 6 }), (at, bytes) => {
        const changed = Buffer.concat([message.subarray(0, at), bytes, message.subarray(at + bytes.length)])
        const reason = reasonOf(changed)
        if (reason !== undefined) expect(reason).toMatch(/^message_invalid: /)
      }),
      { numRuns: 300 },
    )
  })
})

describe('trust', () => {
  const judge = async (
    options: Parameters<typeof createMachineInfoTrust>[0],
    signer = device,
    sent: readonly Certificate[] = chain,
  ) => {
    const read = readMachineInfo(await signMachineInfo(INFO, signer, { chain: sent }))
    return createMachineInfoTrust(options).judge(read.signer, read.certificates)
  }

  test('the pinned CA, which the message brings along, whatever the date', async () => {
    const pinned = deviceCa.certificate.fingerprint
    expect(await judge({ mode: 'enforce', pinned })).toEqual({ accepted: true, trusted: true })
    expect(await judge({ mode: 'enforce', pinned }, ecDevice)).toEqual({ accepted: true, trusted: true })
    expect(await judge({ mode: 'enforce', pinned }, device, [root.certificate])).toMatchObject({
      accepted: false,
      reason: expect.stringContaining("neither from Apple's device CA nor from a configured one") as string,
    })
  })

  test('a configured CA, directly or through an intermediate', async () => {
    const directly = { mode: 'enforce' as const, caCertificates: [deviceCa.certificate] }
    expect(await judge(directly, device, [])).toEqual({ accepted: true, trusted: true })
    const above = { mode: 'enforce' as const, caCertificates: [root.certificate] }
    expect(await judge(above)).toEqual({ accepted: true, trusted: true })
  })

  test('a stranger is refused, logged or not looked at', async () => {
    expect(await judge({ mode: 'enforce' })).toMatchObject({ accepted: false, trusted: false })
    expect(await judge({ mode: 'log' })).toMatchObject({ accepted: true, trusted: false })
    expect(await judge({ mode: 'off' })).toEqual({ accepted: true, trusted: true })
  })

  test("a CA of the same name and somebody else's key", async () => {
    const impostor = await createLeaf({
      subject: [['CN', 'Fake iPhone Device CA']],
      keyUsage: ['keyCertSign'],
      ca: {},
      key: testKey('ec'),
      ...TEST_VALIDITY,
    })
    const leaf = await createLeaf({
      subject: [['CN', 'device']],
      issuer: impostor,
      key: testKey('device'),
      ...TEST_VALIDITY,
    })
    const pinned = deviceCa.certificate.fingerprint
    expect(
      await judge({ mode: 'enforce', pinned }, leaf, [impostor.certificate, deviceCa.certificate]),
    ).toMatchObject({ accepted: false, trusted: false })
    // The pinned certificate itself is no device, and its presence alone makes nobody one.
    expect(await judge({ mode: 'enforce', pinned }, impostor, chain)).toMatchObject({ trusted: false })
  })

  test('who was found to be trusted is remembered, as many as wanted; who was not is looked into each time', async () => {
    const pinned = deviceCa.certificate.fingerprint
    const trust = createMachineInfoTrust({ mode: 'enforce', pinned, remember: 1 })
    const [first, second] = await Promise.all(
      [device, ecDevice].map(async (each) => readMachineInfo(await signMachineInfo(INFO, each, { chain }))),
    )
    const alone = async (read: typeof first) => (await trust.judge(read!.signer, [])).trusted
    expect(await alone(first)).toBe(false)
    expect((await trust.judge(first!.signer, first!.certificates)).trusted).toBe(true)
    expect(await alone(first)).toBe(true)
    expect(await alone(second)).toBe(false)
    expect((await trust.judge(second!.signer, second!.certificates)).trusted).toBe(true)
    expect([await alone(first), await alone(second)]).toEqual([false, true])
  })

  test('certificates that cannot be read are told, not thrown', async () => {
    const { signer } = readMachineInfo(await signMachineInfo(INFO, device))
    expect(
      await createMachineInfoTrust({ mode: 'enforce' }).judge(signer, [Buffer.from([0x30, 3, 1, 2, 3])]),
    ).toMatchObject({ accepted: false, reason: expect.stringContaining('cannot be read') as string })
  })

  test('a self-signed key of its own', async () => {
    const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
    const alone = await createLeaf({ subject: [['CN', 'me']], key, ...TEST_VALIDITY })
    expect(await judge({ mode: 'enforce' }, alone, [])).toMatchObject({ accepted: false })
  })
})
