import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { patched, tidy } from '../../../src/features/enrollment-policies/document.ts'
import { renderAdeProfile } from '../../../src/features/enrollment-policies/index.ts'
import { selfSigned } from '../../support/certificates.ts'

const CONTEXT = {
  url: 'https://mdm.example.com/enroll/ade/key',
  webUrl: 'https://mdm.example.com/enroll/web/key',
  orgMagic: 'the-instance',
}
const certificates = (['device', 'other', 'ec'] as const).map((key) => selfSigned(`Host ${key}`, key).certPem)
const derOf = (pem: string) => new X509Certificate(pem).raw.toString('base64')

type Patch = { name?: string; user_affinity?: string; ade?: Record<string, unknown> }
const policyOf = (patch: Patch = {}) => tidy(patched(undefined, { name: 'Sales iPhones', ...patch }))
const render = (patch: Patch = {}, context: Partial<Parameters<typeof renderAdeProfile>[1]> = {}) =>
  renderAdeProfile(policyOf(patch), { ...CONTEXT, ...context })

/** Which panes hide which keys, as the table of the documentation has it. */
const PANE_KEYS: Record<string, string[]> = {
  passcode: ['Passcode'],
  location_services: ['Location'],
  restore: ['Restore', 'Android', 'DeviceToDeviceMigration'],
  apple_id: ['AppleID'],
  terms_and_conditions: ['TOS'],
  touch_id: ['Biometric'],
  apple_pay: ['Payment'],
  zoom: ['Zoom'],
  siri: ['Siri'],
  diagnostics: ['Diagnostics'],
}

const text = fc.option(
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' }).filter((some) => some.trim() === some),
)
const policy = fc.record({
  name: fc.string({ minLength: 1, maxLength: 20 }),
  user_affinity: fc.constantFrom('none', 'prompt'),
  ade: fc.record({
    department: text,
    support_phone_number: text,
    support_email_address: text,
    supervised: fc.boolean(),
    locked: fc.boolean(),
    pairing: fc.constantFrom('disallow', 'allow', 'require_certificate'),
    pairing_certificates: fc.subarray(certificates, { minLength: 1 }),
    setup_assistant: fc.record(
      Object.fromEntries(Object.keys(PANE_KEYS).map((pane) => [pane, fc.boolean()])),
    ),
    additional_skip_keys: fc.array(fc.constantFrom('Welcome', 'Siri', 'Android', 'Privacy', 'Own.Key')),
    await_device_configured: fc.boolean(),
    sign_in: fc.constantFrom('native', 'web'),
  }),
})

test('a policy of defaults hides nothing, and sends nothing that is not set', () => {
  expect(render().profile).toEqual({
    profile_name: 'Sales iPhones',
    url: CONTEXT.url,
    org_magic: 'the-instance',
    is_mandatory: true,
    is_supervised: true,
    is_mdm_removable: true,
    allow_pairing: true,
    await_device_configured: false,
    skip_setup_items: [],
  })
})

test('every combination maps to exactly what Apple is to see', () => {
  fc.assert(
    fc.property(policy, (given) => {
      const { ade } = given
      const hidden = Object.entries(PANE_KEYS).flatMap(([pane, keys]) =>
        ade.setup_assistant[pane] ? [] : keys,
      )
      const required = ade.pairing === 'require_certificate'
      expect(render(given).profile).toEqual({
        profile_name: given.name,
        url: CONTEXT.url,
        ...(given.user_affinity === 'prompt' && ade.sign_in === 'web'
          ? { configuration_web_url: CONTEXT.webUrl }
          : {}),
        org_magic: CONTEXT.orgMagic,
        is_mandatory: true,
        is_supervised: ade.supervised,
        is_mdm_removable: !ade.locked,
        allow_pairing: ade.pairing === 'allow',
        ...(ade.pairing === 'allow'
          ? {}
          : { supervising_host_certs: required ? ade.pairing_certificates.map(derOf).toSorted() : [] }),
        await_device_configured: ade.await_device_configured,
        ...(ade.department === null ? {} : { department: ade.department }),
        ...(ade.support_phone_number === null ? {} : { support_phone_number: ade.support_phone_number }),
        ...(ade.support_email_address === null ? {} : { support_email_address: ade.support_email_address }),
        skip_setup_items: [...new Set([...hidden, ...ade.additional_skip_keys])].toSorted(),
      })
    }),
    { numRuns: 300 },
  )
})

describe('the hash', () => {
  test('changes if and only if the rendering does', () => {
    fc.assert(
      fc.property(policy, policy, fc.boolean(), (a, b, same) => {
        const [one, other] = [render(a), render(same ? structuredClone(a) : b)]
        const equal = JSON.stringify(sorted(one.profile)) === JSON.stringify(sorted(other.profile))
        expect(one.hash.equals(other.hash)).toBe(equal)
        expect(one.hash).toHaveLength(32)
      }),
      { numRuns: 300 },
    )
  })

  test.each<[string, Patch]>([
    ['name', { name: 'Another' }],
    ['supervision', { ade: { supervised: false } }],
    ['lock', { ade: { locked: true } }],
    ['pairing', { ade: { pairing: 'disallow' } }],
    ['certificates', { ade: { pairing: 'require_certificate', pairing_certificates: certificates } }],
    ['a pane', { ade: { setup_assistant: { siri: false } } }],
    ['a key', { ade: { additional_skip_keys: ['Welcome'] } }],
    ['waiting', { ade: { await_device_configured: true } }],
    ['department', { ade: { department: 'IT' } }],
    ['phone', { ade: { support_phone_number: '1' } }],
    ['email', { ade: { support_email_address: 'a@b' } }],
    ['web sign-in', { user_affinity: 'prompt', ade: { sign_in: 'web' } }],
  ])('is another with another %s', (_, patch) => {
    expect(render(patch).hash.equals(render().hash)).toBe(false)
  })

  test.each<[string, Partial<Parameters<typeof renderAdeProfile>[1]>]>([
    ['address', { url: 'https://other.example.com/' }],
    ['organisation', { orgMagic: 'another' }],
    ['trust', { anchorCerts: [Buffer.from('DER')] }],
  ])('is another with another %s', (_, context) => {
    expect(render({}, context).hash.equals(render().hash)).toBe(false)
  })

  test('is the same with what only we look at, with other spellings, and with the web page of nobody', () => {
    const same = [
      render({ user_affinity: 'prompt' }),
      render({ ade: { enabled: true, minimum_os_version: '17.0', configuration_deadline_minutes: 5 } }),
      render({ ade: { sign_in: 'web', department: '' } }),
      render({}, { webUrl: 'https://other.example.com/', anchorCerts: [] }),
    ]
    for (const { hash } of same) expect(hash.equals(render().hash)).toBe(true)
    const [a = '', b = ''] = certificates
    const require = (pems: string[], keys: string[]) =>
      render({
        ade: { pairing: 'require_certificate', pairing_certificates: pems, additional_skip_keys: keys },
      }).hash.toString('hex')
    expect(require([a, b, a.replaceAll('\n', '\r\n')], ['Welcome', 'Privacy', 'Welcome'])).toBe(
      require([b, `a note\n${a}`], ['Privacy', 'Welcome']),
    )
  })
})

test('anchor certificates are the DER in base64', () => {
  const { profile } = render({}, { anchorCerts: [Buffer.from([1, 2]), Buffer.from([3])] })
  expect(profile.anchor_certs).toEqual(['AQI=', 'Aw=='])
})

function sorted(profile: object): unknown {
  return Object.entries(profile).toSorted(([a], [b]) => (a < b ? -1 : 1))
}
