import { beforeAll, describe, expect, test } from 'vitest'
import { signData } from '../../src/protocol/cms/index.ts'
import { buildEnrollmentProfile } from '../../src/protocol/mobileconfig/index.ts'
import { parsePlist, writePlist } from '../../src/protocol/plist/index.ts'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import type { Identity } from '../../src/protocol/x509/index.ts'
import {
  readEnrollmentProfile,
  updateProblem,
} from '../../src/simulator/device/profiles/enrollment-profile.ts'
import { testCa, TEST_VALIDITY } from '../support/identities.ts'
import { refusal } from '../support/refusal.ts'

const NOW = new Date('2026-06-01T00:00:00Z')
let signer: Identity
beforeAll(async () => {
  signer = await testCa()
})

/** A good profile with something changed in the whole, its SCEP payload (0) or its MDM payload (1). */
async function changed(change: (top: PlistDict, scep: PlistDict, mdm: PlistDict) => void): Promise<Buffer> {
  const base = 'https://mdm.example.ch'
  const profile = buildEnrollmentProfile({
    ...{ identifier: 'ch.example.mdm', displayName: 'MDM', organization: 'Example AG' },
    scep: { url: `${base}/scep`, challenge: 'secret', subject: [[['CN', 'x']]] },
    mdm: {
      ...{ topic: 'com.apple.mgmt.External.1', serverUrl: `${base}/connect`, checkInUrl: `${base}/checkin` },
      serverCapabilities: ['com.apple.mdm.per-user-connections'],
    },
  })
  const top = parsePlist(profile) as PlistDict
  const [scep, mdm] = top['PayloadContent'] as [PlistDict, PlistDict]
  change(top, scep, mdm)
  return signData({ content: Buffer.from(writePlist(top)), signer })
}

const good = () => changed(() => undefined)
const settings = (scep: PlistDict) => scep['PayloadContent'] as PlistDict

test('a good profile is read', async () => {
  const profile = readEnrollmentProfile(await good(), NOW)
  expect(profile).toMatchObject({
    topic: 'com.apple.mgmt.External.1',
    serverUrl: 'https://mdm.example.ch/connect',
    checkInUrl: 'https://mdm.example.ch/checkin',
    accessRights: 8191,
    checkOutWhenRemoved: true,
    scep: { url: 'https://mdm.example.ch/scep', challenge: 'secret', subject: [['CN', 'x']] },
  })
})

test('without CheckInURL the ServerURL takes check-ins', async () => {
  const profile = await changed((_, __, mdm) => delete mdm['CheckInURL'])
  expect(readEnrollmentProfile(profile, NOW).checkInUrl).toBe('https://mdm.example.ch/connect')
})

type Change = Parameters<typeof changed>[0]

describe('refused is a profile', () => {
  test.each<[string, Change, string]>([
    ['of another type', (top) => (top['PayloadType'] = 'Profile'), 'PayloadType is not Configuration'],
    ['of version 2', (top) => (top['PayloadVersion'] = 2), 'PayloadVersion is not 1'],
    ['without identifier', (top) => delete top['PayloadIdentifier'], 'PayloadIdentifier is not a text'],
    ['without content', (top) => (top['PayloadContent'] = []), 'PayloadContent is not a filled array'],
    ['with no UUID', (_, __, mdm) => (mdm['PayloadUUID'] = 'one'), 'PayloadUUID is not a UUID'],
    [
      'with one UUID twice',
      (top, _, mdm) => (mdm['PayloadUUID'] = top['PayloadUUID']!),
      'a PayloadUUID is used twice',
    ],
    [
      'without MDM payload',
      (_, __, mdm) => (mdm['PayloadType'] = 'com.apple.wifi.managed'),
      '0 com.apple.mdm',
    ],
    [
      'with two MDM payloads',
      (top, _, mdm) =>
        (top['PayloadContent'] as PlistDict[]).push({
          ...mdm,
          PayloadUUID: '00000000-0000-4000-8000-000000000000',
        }),
      '2 com.apple.mdm payloads',
    ],
    [
      'whose identity is elsewhere',
      (_, __, mdm) => (mdm['IdentityCertificateUUID'] = mdm['PayloadUUID']!),
      'IdentityCertificateUUID names no com.apple.security.scep payload',
    ],
    ['with another topic', (_, __, mdm) => (mdm['Topic'] = 'com.example.app'), 'is no topic of MDM'],
    [
      'with a plain URL',
      (_, __, mdm) => (mdm['ServerURL'] = 'http://mdm.example.ch/'),
      'ServerURL is not https',
    ],
    ['with no URL', (_, __, mdm) => (mdm['CheckInURL'] = 'checkin'), 'CheckInURL is not a URL'],
    ['without rights', (_, __, mdm) => (mdm['AccessRights'] = 0), 'AccessRights is not between'],
    ['with right 2 alone', (_, __, mdm) => (mdm['AccessRights'] = 2), 'installs what it may not inspect'],
    ['that signs nothing', (_, __, mdm) => (mdm['SignMessage'] = false), 'SignMessage is not true'],
    ['for development pushes', (_, __, mdm) => (mdm['UseDevelopmentAPNS'] = true), 'UseDevelopmentAPNS'],
    [
      'with a made-up capability',
      (_, __, mdm) => (mdm['ServerCapabilities'] = ['x']),
      'no server capability',
    ],
    ['with a short key', (_, scep) => (settings(scep)['Keysize'] = 1024), 'Keysize is not 2048'],
    ['without challenge', (_, scep) => delete settings(scep)['Challenge'], 'Challenge is not a text'],
    ['with a flat subject', (_, scep) => (settings(scep)['Subject'] = ['CN', 'x']), 'Subject is not a list'],
    ['with key usage 2', (_, scep) => (settings(scep)['Key Usage'] = 2), 'Key Usage is none of'],
    [
      'with half a fingerprint',
      (_, scep) => (settings(scep)['CAFingerprint'] = new Uint8Array(8)),
      'CAFingerprint',
    ],
  ])('%s', async (_, change, reason) => {
    const bytes = await changed(change)
    const error = refusal(() => readEnrollmentProfile(bytes, NOW))
    expect(error?.code).toBe('message_invalid')
    expect(error?.message).toContain(reason)
  })

  test('whose signature is wrong', async () => {
    const bytes = await good()
    bytes[bytes.indexOf('Example AG')] = 0x45 + 1
    expect(refusal(() => readEnrollmentProfile(bytes, NOW))?.code).toBe('cms_invalid')
  })

  test('whose signer has expired', async () => {
    const bytes = await good()
    const error = refusal(() =>
      readEnrollmentProfile(bytes, new Date(TEST_VALIDITY.notAfter.getTime() + 1000)),
    )
    expect(error?.message).toContain('is valid from')
  })
})

describe('an update', () => {
  test('may bring a new SCEP payload and fewer rights', async () => {
    const current = readEnrollmentProfile(await good(), NOW)
    const next = readEnrollmentProfile(await changed((_, __, mdm) => (mdm['AccessRights'] = 19)), NOW)
    expect(updateProblem(current, next)).toBeUndefined()
  })

  test.each<[string, Change]>([
    ['another PayloadIdentifier', (top) => (top['PayloadIdentifier'] = 'ch.example.other')],
    ['another Topic', (_, __, mdm) => (mdm['Topic'] = 'com.apple.mgmt.External.2')],
    ['another ServerURL', (_, __, mdm) => (mdm['ServerURL'] = 'https://other.example.ch/')],
    ['another CheckInURL', (_, __, mdm) => (mdm['CheckInURL'] = 'https://other.example.ch/')],
    ['other ServerCapabilities', (_, __, mdm) => (mdm['ServerCapabilities'] = [])],
  ])('may not bring %s', async (problem, change) => {
    const current = readEnrollmentProfile(await good(), NOW)
    expect(updateProblem(current, readEnrollmentProfile(await changed(change), NOW))).toBe(problem)
  })

  test('may not bring more rights', async () => {
    const current = readEnrollmentProfile(await changed((_, __, mdm) => (mdm['AccessRights'] = 19)), NOW)
    expect(updateProblem(current, readEnrollmentProfile(await good(), NOW))).toBe('more AccessRights')
  })
})
