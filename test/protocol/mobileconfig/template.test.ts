import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readProfilePlist } from '../../../src/protocol/mobileconfig/codec.ts'
import { compileProfile, fillProfile } from '../../../src/protocol/mobileconfig/template.ts'
import { mobileconfig, payload } from '../../support/mobileconfig.ts'

const UUID = '00000000-0000-8000-8000-000000000000'

function filled(texts: Record<string, unknown>, values: Record<string, string>) {
  const content = mobileconfig({}, payload(texts as never))
  const template = compileProfile(readProfilePlist(Buffer.from(content)))
  return fillProfile(template, UUID, new Map(Object.entries(values)))
}

function payloadOf(body: Buffer): Record<string, unknown> {
  const content = readProfilePlist(body)['PayloadContent']
  return Array.isArray(content) ? (content[0] as Record<string, unknown>) : {}
}

/** What XML can carry (XML 1.0, section 2.2). */
const carried = fc
  .string({ unit: 'binary', minLength: 1 })
  // oxlint-disable-next-line no-control-regex
  .filter((text) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text) && text.isWellFormed())

describe('a profile for a device', () => {
  test('has whatever values there are, as they are', () => {
    fc.assert(
      fc.property(carried, carried, (name, secret) => {
        const texts = { SSID_STR: 'a{{device.name}}b{{secret.x}}', Password: '{{device.name}}' }
        const done = filled(texts, { 'device.name': name, 'secret.x': secret })
        if (!done.ok) throw new Error(done.reason)
        expect(payloadOf(done.body)).toMatchObject({ SSID_STR: `a${name}b${secret}`, Password: name })
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    '</string><key>PayloadType</key><string>com.apple.mdm',
    ']]><!--',
    '&amp;&#x0;',
    '{{secret.x}}',
    '\r\n\t',
    '\u0085\u2028',
    '👩🏽‍🚀',
  ])('keeps %j a text', (value) => {
    const done = filled({ SSID_STR: '{{device.name}}' }, { 'device.name': value, 'secret.x': 'told' })
    if (!done.ok) throw new Error(done.reason)
    const { SSID_STR, PayloadType } = payloadOf(done.body)
    expect({ SSID_STR, PayloadType }).toEqual({ SSID_STR: value, PayloadType: 'com.apple.wifi.managed' })
  })

  test.each(['\u0000', 'a\u0001', '\u001f', '\ufffe', '\uffff', 'half \ud800'])(
    'is none with %j, which no XML can carry',
    (value) => {
      expect(filled({ SSID_STR: 'x{{device.name}}' }, { 'device.name': value })).toEqual({
        ok: false,
        reason: 'variable_invalid',
        names: ['device.name'],
      })
    },
  )

  test('is none without a value, and names all that are missing', () => {
    expect(filled({ SSID_STR: '{{user.email}}{{device.udid}}{{user.email}}' }, {})).toEqual({
      ok: false,
      reason: 'variable_missing',
      names: ['user.email', 'device.udid'],
    })
  })

  test('has its own UUID at the top, and those of its payloads as they were', () => {
    const done = filled({}, {})
    if (!done.ok) throw new Error(done.reason)
    expect(readProfilePlist(done.body)['PayloadUUID']).toBe(UUID)
    expect(payloadOf(done.body)['PayloadUUID']).toBe('6E1F0B6C-6B0B-4F0B-9B8A-000000000001')
  })

  test('has the fallback, escaped', () => {
    const done = filled({ SSID_STR: '{{user.email|<&>}}{{user.email|}}' }, {})
    if (!done.ok) throw new Error(done.reason)
    expect(payloadOf(done.body)['SSID_STR']).toBe('<&>')
  })

  test('takes no more than 1 MiB of values, however often it names one', () => {
    const texts = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`Text${n}`, '{{secret.large}}'.repeat(50)]),
    )
    const large = (length: number) => filled(texts, { 'secret.large': 'x'.repeat(length) })
    expect(large(1_000)).toMatchObject({ ok: true })
    expect(large(65_536)).toEqual({ ok: false, reason: 'variable_invalid', names: ['secret.large'] })
  })
})
