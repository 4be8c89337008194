import { describe, expect, test } from 'vitest'
import { readProfilePlist } from '../../../src/protocol/mobileconfig/codec.ts'
import { warningsOf } from '../../../src/protocol/mobileconfig/warnings.ts'
import { mobileconfig, payload } from '../../support/mobileconfig.ts'

const warnings = (...args: Parameters<typeof mobileconfig>) =>
  warningsOf(readProfilePlist(Buffer.from(mobileconfig(...args)))).map(
    ({ path, message }) => `${path}: ${message}`,
  )

const restrictions = (keys: Record<string, never> | Record<string, unknown>) =>
  payload({
    PayloadType: 'com.apple.applicationaccess',
    SSID_STR: undefined,
    EncryptionType: undefined,
    ...(keys as object),
  })

describe('what devices may take amiss', () => {
  test('is nothing in a plain profile', () => {
    expect(warnings()).toEqual([])
  })

  test.each([
    [
      { SSID_STRING: 'x' },
      "PayloadContent.0.SSID_STRING: Apple's schema has no such key here. Is SSID_STR meant?",
    ],
    [{ AutoJoin: 1 }, 'PayloadContent.0.AutoJoin: This is to be true or false, not an integer.'],
    [{ Password: true }, 'PayloadContent.0.Password: This is to be a text, not true or false.'],
    [
      { EncryptionType: 'WPA9' },
      'PayloadContent.0.EncryptionType: This is to be one of WEP, WPA, WPA2, WPA3, Any, None.',
    ],
    [
      { EAPClientConfiguration: { UserName: 'x' } },
      'PayloadContent.0.EAPClientConfiguration.AcceptEAPTypes: AcceptEAPTypes is missing.',
    ],
    [
      { EAPClientConfiguration: { AcceptEAPTypes: ['x'] } },
      'PayloadContent.0.EAPClientConfiguration.AcceptEAPTypes.0: This is to be an integer, not a text.',
    ],
    [
      { '{{device.name}}': 'x' },
      'PayloadContent.0.{{device.name}}: Variables in names of keys are not filled in.',
    ],
  ])('is told of %j', (keys, warning) => {
    expect(warnings({}, payload(keys))).toContain(warning)
  })

  test('is not looked for where a variable stands', () => {
    expect(warnings({}, payload({ EncryptionType: '{{policy.name}}' }))).toEqual([])
  })

  test('an unknown payload is told once', () => {
    expect(warnings({}, payload({ PayloadType: 'org.example.app', whatever: 1 }))).toEqual([
      'PayloadContent.0.PayloadType: Apple\'s schema has no payload "org.example.app": nothing in it is checked.',
    ])
  })

  test('keys at the top are looked at too', () => {
    expect(
      warnings({ PayloadRemovalDisallowed: 'yes', Payload: 1, PayloadContent: [] }).toSorted(byPlace),
    ).toEqual(
      [
        'PayloadContent: The profile has no payload.',
        'PayloadRemovalDisallowed: This is to be true or false, not a text.',
        "Payload: Apple's schema has no such key here.",
      ].toSorted(byPlace),
    )
  })

  test('what OS 27 removed is told with its successor', () => {
    expect(
      warnings({}, restrictions({ enforcedSoftwareUpdateDelay: 30, forceDelayedSoftwareUpdates: true })),
    ).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^PayloadContent\.0\.enforcedSoftwareUpdateDelay: .* removed from iOS 27\.0 on.*softwareupdate\.settings\.$/,
        ),
        expect.stringContaining('forceDelayedSoftwareUpdates'),
      ]),
    )
    expect(warnings({}, payload({ PayloadType: 'com.apple.SoftwareUpdate' }))[0]).toMatch(
      /com\.apple\.SoftwareUpdate is removed from macOS 27\.0 on\. What takes its place is the declaration/,
    )
    expect(warnings({}, restrictions({ allowSafariPrivateBrowsing: false }))).toEqual([])
  })

  test('many are cut, and counted', () => {
    const odd = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`an odd key number ${n}`, 1]))
    const all = warnings({}, payload(odd))
    expect(all).toHaveLength(100)
    expect(all.at(-1)).toBe(': There are 401 more warnings.')
  })

  test('names of great length are cut, and what is beyond the limit costs nothing', () => {
    const long = 'k'.repeat(100_000)
    const odd = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`${n}${'o'.repeat(50)}`, 1]))
    const all = warnings({}, payload({ [long]: 1, ...odd, PayloadType: `com.example.${long}` }))
    expect(Math.max(...all.map(({ length }) => length))).toBeLessThan(400)
    expect(warnings({}, payload(odd)).at(-1)).toBe(': There are 19901 more warnings.')
  })

  test('a key is told that was meant, with letters added, dropped, exchanged or swapped', () => {
    for (const name of ['alowCamera', 'allowCmaera', 'allowCamerraa', 'llowCaemra'])
      expect(warnings({}, restrictions({ [name]: true }))[0]).toContain('Is allowCamera meant?')
    expect(warnings({}, restrictions({ lwoaCmera: true }))[0]).not.toContain('meant')
  })
})

function byPlace(one: string, other: string): number {
  return one < other ? -1 : 1
}
