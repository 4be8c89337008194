import { expect, test } from 'vitest'
import { readSerialList, toSerial } from '../../../src/features/ade/assignment/serial-list.ts'

test.each([
  ['A\nB', ['A', 'B']],
  ['\uFEFFSerial Number,Model\r\nA,x\r\nB,y', ['A', 'B']],
  ['serial_number\nA\n\n  \nB\n', ['A', 'B']],
  ['"A";"x;y"\n"B ""q""";z\n\tC\t1', ['A', 'B "q"', '']],
  ['SERIAL1\nSERIAL2', ['SERIAL1', 'SERIAL2']],
  ['', []],
])('the first field of each line of %j', (text, serials) => {
  expect(readSerialList(text).map(({ serial }) => serial)).toEqual(serials.filter((serial) => serial !== ''))
})

test('lines are counted as an editor does', () => {
  expect(readSerialList('Serial\n\nA\r\nB')).toEqual([
    { serial: 'A', line: 3 },
    { serial: 'B', line: 4 },
  ])
})

test('what cannot be a serial number is none', () => {
  expect([' c02x ', 'a b', 'ä', 'X'.repeat(65), ''].map(toSerial)).toEqual([
    'C02X',
    ...[undefined, undefined, undefined, undefined],
  ])
})
