import { expect, test } from 'vitest'
import { serialNumberOf } from '../../src/kernel/serial-number.ts'

test.each([
  ['F2LX1234ABCD', 'F2LX1234ABCD'],
  [' c02x ', 'C02X'],
  ['x'.repeat(64), 'X'.repeat(64)],
])('%j is the serial number %s', (given, serial) => {
  expect(serialNumberOf(given)).toBe(serial)
})

// The last two are capitals of others, and a virtual Mac.
test.each([
  '',
  ' ',
  'a b',
  'ä',
  'X'.repeat(65),
  'A-1',
  "A';--",
  'A\0',
  'A\nB',
  7,
  null,
  undefined,
  {},
  'ſ1',
  'Z+/1',
])('%j is none', (given) => {
  expect(serialNumberOf(given)).toBeUndefined()
})
