import { expect, test } from 'vitest'
import { readRule } from '../../../src/features/groups/rules/rule.ts'
import { parseAge, timeAgo } from '../../../src/features/groups/rules/times.ts'
import { buildParts, versionParts } from '../../../src/features/groups/rules/versions.ts'
import { platformOf } from '../../../src/features/groups/rules/platform.ts'

const eq = (fact: string, value: unknown, op = 'eq') => ({ fact, op, value })

function compare(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const [x, y] = [a[at], b[at]]
    if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? -1 : 1
    if (x !== y) return x - y
  }
  return 0
}

test.each([
  [null, [['/rule', 'It must be']]],
  ['all', [['/rule', 'It must be']]],
  [{}, [['/rule', 'It must be']]],
  [{ all: [] }, [['/rule/all', 'It must be a list of at least one rule.']]],
  [{ any: {} }, [['/rule/any', 'It must be a list']]],
  [{ all: [eq('way', 'ade')], any: [eq('way', 'ade')] }, [['/rule', 'It must be']]],
  [{ not: [] }, [['/rule/not', 'It must be']]],
  [{ ...eq('way', 'ade'), 'a/b~': 1 }, [['/rule/a~1b~0', 'It is not known here.']]],
  [eq('colour', 'red'), [['/rule/fact', 'There is no such fact; the facts are policy_id,']]],
  [eq('__proto__', 'red'), [['/rule/fact', 'There is no such fact']]],
  [eq('way', 'ade', 'like'), [['/rule/op', 'It must be one of eq, ne, in, starts_with, contains, exists.']]],
  [eq('policy_id', 'x', 'lt'), [['/rule/op', 'It must be one of eq, ne, in, exists.']]],
  [{ fact: 'way', op: 'eq' }, [['/rule', 'The value is missing.']]],
  [eq('way', 'window'), [['/rule/value', 'It must be one of ade, ade_web, link, page.']]],
  [eq('platform', ['ios', 'windows'], 'in'), [['/rule/value/1', 'It must be one of ios']]],
  [eq('platform', [], 'in'), [['/rule/value', 'It must be a list of 1 to 1000 values.']]],
  [eq('platform', 'ios', 'in'), [['/rule/value', 'It must be a list']]],
  [eq('supervised', 'yes'), [['/rule/value', 'It must be true or false.']]],
  [eq('supervised', 1, 'exists'), [['/rule/value', 'It must be true or false.']]],
  [eq('os_version', 'newest', 'lt'), [['/rule/value', 'It must be a version']]],
  [eq('os_version', 17, 'lt'), [['/rule/value', 'It must be a text']]],
  [eq('enrolled_at', 'P7D', 'lt'), [['/rule/value', 'It must be a time']]],
  [eq('enrolled_at', '-P', 'lt'), [['/rule/value', 'It must be a time']]],
  [eq('enrolled_at', '-P7DT', 'lt'), [['/rule/value', 'It must be a time']]],
  [eq('enrolled_at', '-P999Y', 'lt'), [['/rule/value', 'It must be a time']]],
  [eq('enrolled_at', '2026-02-30T00:00:00Z', 'lt'), [['/rule/value', 'It must be a time']]],
  [eq('device_name', '', 'contains'), [['/rule/value', 'It must be a text']]],
  [eq('device_name', 'x'.repeat(513)), [['/rule/value', 'It must be a text']]],
  [
    { all: [eq('colour', 'red'), { not: eq('way', 1) }] },
    [
      ['/rule/all/0/fact', 'There is no such fact'],
      ['/rule/all/1/not/value', 'It must be a text'],
    ],
  ],
])('%j is no rule, and each fault is told by its place', (rule, faults) => {
  expect(readRule(rule, '/rule')).toEqual({
    faults: faults.map(([pointer, detail]) => ({ pointer, detail: expect.stringContaining(detail ?? '') })),
  })
})

test('a rule is bounded in depth, conditions and listed values, and told so once', () => {
  let deep: unknown = eq('way', 'ade')
  for (let at = 0; at < 10_000; at += 1) deep = { not: deep }
  expect(readRule(deep, '')).toEqual({
    faults: [{ pointer: '/not'.repeat(20), detail: expect.stringContaining('20 levels') }],
  })
  expect(readRule({ any: Array.from({ length: 50_000 }, () => eq('way', 'ade')) }, '')).toEqual({
    faults: [{ pointer: '', detail: 'It has more than 200 conditions.' }],
  })
  const list = Array.from({ length: 1_000 }, (_, at) => `x${at}`)
  expect(readRule({ any: Array.from({ length: 3 }, () => eq('udid', list, 'in')) }, '')).toEqual({
    faults: [{ pointer: '', detail: 'Its lists have more than 2000 values.' }],
  })
  const many = readRule({ any: Array.from({ length: 150 }, () => eq('way', 1)) }, '')
  expect('faults' in many && many.faults.length).toBe(100)
})

test('versions compare by their parts, also odd ones', () => {
  const rising = [
    '9',
    '9.1',
    '10',
    '17',
    '17.0.1',
    '17.0.1 (a)',
    '17.0.1 (b)',
    '17.0.10',
    '17.1',
    '18.0b',
    '26.1.1.1.1.1.1.1.9',
  ]
  for (const [at, version] of rising.entries())
    for (const [other, than] of rising.entries())
      expect(Math.sign(compare(versionParts(version), versionParts(than)))).toBe(Math.sign(at - other))
  expect(versionParts('17.0.0')).toEqual(versionParts('17'))
  expect(versionParts('9'.repeat(400))).toEqual([10 ** 9, 0, 0, 0, 0, 0, 0, 0])
  for (const odd of ['', 'beta', '(a)', '.1']) expect(versionParts(odd)).toEqual([])
  const builds = ['9A1', '21A99', '21A360', '21A360a', '21B1', '22A1']
  for (const [at, build] of builds.entries())
    for (const [other, than] of builds.entries())
      expect(Math.sign(compare(buildParts(build), buildParts(than)))).toBe(Math.sign(at - other))
})

test.each([
  ['-P7D', '2026-03-24T12:00:00.000Z'],
  ['-P1M', '2026-02-28T12:00:00.000Z'],
  ['-P1Y1M', '2025-02-28T12:00:00.000Z'],
  ['-P1W', '2026-03-24T12:00:00.000Z'],
  ['-PT90M', '2026-03-31T10:30:00.000Z'],
  ['-P1DT1S', '2026-03-30T11:59:59.000Z'],
])('%s', (text, time) => {
  expect(timeAgo(parseAge(text)!, new Date('2026-03-31T12:00:00Z')).toISOString()).toBe(time)
})

test('the platform follows from what the device says of its make', () => {
  for (const [product, model, platform] of [
    ['iPhone15,2', 'iPhone', 'ios'],
    ['iPad14,3', 'iPad', 'ipados'],
    ['iPod9,1', null, 'ios'],
    ['MacBookPro18,3', 'MacBook Pro', 'macos'],
    ['Mac14,7', null, 'macos'],
    ['iMac21,1', null, 'macos'],
    ['VirtualMac2,1', null, 'macos'],
    ['AppleTV14,1', 'Apple TV', 'tvos'],
    ['RealityDevice14,1', null, 'visionos'],
    ['Watch7,1', null, 'watchos'],
    [null, 'iPhone', 'ios'],
    ['Toaster1,1', 'Toaster', ''],
    [null, null, null],
  ] as const)
    expect(platformOf(product, model)).toBe(platform)
})
