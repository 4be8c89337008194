import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareVersions, isOsVersion, softwareUpdateRequired } from '../../../src/protocol/ade/index.ts'

test.each([
  ['18.1', '17.7.2', 1],
  ['17.7.2', '18.1', -1],
  ['18', '18.0.0', 0],
  ['9.3.5', '10', -1],
  ['16.5.1', '16.5.1 (a)', -1],
  ['16.5.1(c)', '16.5.1 (b)', 1],
  ['16.5.2', '16.5.1 (c)', 1],
  ['26.0', '18.7', 1],
  ['unknown', '0', -1],
])('%s and %s', (a, b, expected) => {
  expect(Math.sign(compareVersions(a, b))).toBe(expected)
})

test('a total order', () => {
  const version = fc
    .tuple(fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }), fc.constantFrom('', ' (a)', '(b)'))
    .map(([numbers, extra]) => numbers.join('.') + extra)
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      expect(isOsVersion(a)).toBe(true)
      expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0)
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
      }
    }),
    { numRuns: 300 },
  )
})

test.each(['', 'iOS 18', '18.', '.1', '18.1.2.3.4', '18.1 (aa)', '18.1 beta', '1'.repeat(9)])(
  '%j is no version',
  (text) => {
    expect(isOsVersion(text)).toBe(false)
  },
)

test("Apple's document that asks for an update", () => {
  const { status, contentType, body } = softwareUpdateRequired({
    osVersion: '18.1',
    message: 'Your iPhone must be updated first.',
  })
  expect([status, contentType]).toEqual([403, 'application/json'])
  expect(JSON.parse(body)).toEqual({
    code: 'com.apple.softwareupdate.required',
    description: 'The minimum OS version is 18.1.',
    message: 'Your iPhone must be updated first.',
    details: { OSVersion: '18.1' },
  })
  expect(softwareUpdateRequired({ osVersion: '16.1 (a)', buildVersion: '20B101' }).body).toContain(
    '"details":{"OSVersion":"16.1 (a)","BuildVersion":"20B101"}',
  )
})
