import { parse } from 'plist'
import { expect, test } from 'vitest'
import { buildEnrollmentProfile } from '../../../src/protocol/mobileconfig/index.ts'
import type { EnrollmentProfile } from '../../../src/protocol/mobileconfig/index.ts'
import { parsePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { plain } from '../plist/plain.ts'

const PROFILE: EnrollmentProfile = {
  identifier: 'com.example.mdm.enroll',
  displayName: 'Acme & Söhne',
  organization: 'Acme',
  payloadUuid: '11111111-1111-4111-8111-111111111111',
  rootCertificates: [
    {
      der: Buffer.from([0x30, 0x00]),
      fileName: 'root.cer',
      payloadUuid: '22222222-2222-4222-8222-222222222222',
    },
  ],
  scep: {
    url: 'https://mdm.example.com/scep?e=7b3e&x=1',
    challenge: 'k3v0',
    subject: [[['O', 'Acme']], [['CN', 'enr-7b3e']]],
    caFingerprint: Buffer.alloc(32, 7),
    payloadUuid: '9B2F6B56-63A1-4F2D-9D0E-2F6C8D1E4A10',
  },
  mdm: {
    topic: 'com.apple.mgmt.External.11111111-2222-3333-4444-555555555555',
    serverUrl: 'https://mdm.example.com/mdm/connect',
    checkInUrl: 'https://mdm.example.com/mdm/checkin',
    serverCapabilities: ['com.apple.mdm.per-user-connections', 'com.apple.mdm.bootstraptoken'],
    payloadUuid: '3E5B4C0E-8C1C-4D5E-9E55-6D3A0C1B7F21',
  },
}

test('an enrollment profile has the roots, the identity and the MDM payload that names it', () => {
  const profile = {
    PayloadContent: [
      {
        PayloadType: 'com.apple.security.root',
        PayloadVersion: 1,
        PayloadIdentifier: 'com.example.mdm.enroll.root.1',
        PayloadUUID: '22222222-2222-4222-8222-222222222222',
        PayloadDisplayName: 'Trusted certificate',
        PayloadCertificateFileName: 'root.cer',
        PayloadContent: 'data 3000',
      },
      {
        PayloadType: 'com.apple.security.scep',
        PayloadVersion: 1,
        PayloadIdentifier: 'com.example.mdm.enroll.scep',
        PayloadUUID: '9B2F6B56-63A1-4F2D-9D0E-2F6C8D1E4A10',
        PayloadDisplayName: 'Device identity',
        PayloadContent: {
          URL: 'https://mdm.example.com/scep?e=7b3e&x=1',
          Challenge: 'k3v0',
          Subject: [[['O', 'Acme']], [['CN', 'enr-7b3e']]],
          Keysize: 2048,
          'Key Type': 'RSA',
          'Key Usage': 5,
          CAFingerprint: `data ${'07'.repeat(32)}`,
          KeyIsExtractable: false,
        },
      },
      {
        PayloadType: 'com.apple.mdm',
        PayloadVersion: 1,
        PayloadIdentifier: 'com.example.mdm.enroll.mdm',
        PayloadUUID: '3E5B4C0E-8C1C-4D5E-9E55-6D3A0C1B7F21',
        PayloadDisplayName: 'Device management',
        IdentityCertificateUUID: '9B2F6B56-63A1-4F2D-9D0E-2F6C8D1E4A10',
        Topic: 'com.apple.mgmt.External.11111111-2222-3333-4444-555555555555',
        ServerURL: 'https://mdm.example.com/mdm/connect',
        CheckInURL: 'https://mdm.example.com/mdm/checkin',
        AccessRights: 8191,
        CheckOutWhenRemoved: true,
        SignMessage: true,
        ServerCapabilities: ['com.apple.mdm.per-user-connections', 'com.apple.mdm.bootstraptoken'],
      },
    ],
    PayloadType: 'Configuration',
    PayloadVersion: 1,
    PayloadIdentifier: 'com.example.mdm.enroll',
    PayloadUUID: '11111111-1111-4111-8111-111111111111',
    PayloadDisplayName: 'Acme & Söhne',
    PayloadOrganization: 'Acme',
    PayloadRemovalDisallowed: false,
  }
  const bytes = buildEnrollmentProfile(PROFILE)
  expect(plain(parsePlist(bytes))).toEqual(profile)
  expect(plain(parse(bytes.toString()))).toEqual(profile)
})

test('UUIDs that are not given are random, and the identity is still named', () => {
  const { payloadUuid: _, ...scep } = PROFILE.scep
  const read = () => {
    const profile = parsePlist(buildEnrollmentProfile({ ...PROFILE, scep, rootCertificates: [] }))
    const [identity, mdm] = (profile as unknown as { PayloadContent: Record<string, string>[] })
      .PayloadContent
    expect(mdm?.['IdentityCertificateUUID']).toBe(identity?.['PayloadUUID'])
    return identity?.['PayloadUUID']
  }
  const first = read()
  expect(first).toMatch(/^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/)
  expect(read()).not.toBe(first)
})

test('text that XML cannot hold is refused with its path', () => {
  const broken = { ...PROFILE, scep: { ...PROFILE.scep, challenge: 'a\u0000' } }
  expect(refusal(() => buildEnrollmentProfile(broken))).toMatchObject({
    code: 'plist_invalid',
    message: 'PayloadContent[1].PayloadContent.Challenge: the character U+0000 cannot be written',
  })
})
