import { expect, test } from 'vitest'
import { readSerialList } from '../../../src/features/ade/assignment/serial-list.ts'

const read = (text: string) => readSerialList(text, 200_000)

test.each([
  ['A\nB', ['A', 'B']],
  ['\uFEFFSerial Number,Model\r\nA,x\r\nB,y', ['A', 'B']],
  ['serial_number\nA\n\n  \nB\n', ['A', 'B']],
  ['"A";"x;y"\n"B ""q""";z\n\tC\t1', ['A', 'B "q"', '']],
  ['SERIAL1\nSERIAL2', ['SERIAL1', 'SERIAL2']],
  ['', []],
  ['A\rB\r\nC\n\rD', ['A', 'B', 'C', 'D']],
  [`"${'a'.repeat(3_000_000)}\nB`, [`"${'a'.repeat(999)}`, 'B']],
])('the first field of each line of %j', async (text, serials) => {
  expect((await read(text)).map(({ serial }) => serial)).toEqual(serials.filter((serial) => serial !== ''))
})

test('lines are counted as an editor does', async () => {
  expect(await read('Serial\n\nA\r\nB')).toEqual([
    { serial: 'A', line: 3 },
    { serial: 'B', line: 4 },
  ])
})

test('a long list is read turn by turn, and no further than it may be long', async () => {
  let turns = 0
  const counting = setInterval(() => (turns += 1), 0)
  const list = await readSerialList('A1B2C3\n'.repeat(1_000_000), 200_000)
  clearInterval(counting)
  expect(list).toHaveLength(200_001)
  expect(turns).toBeGreaterThan(3)
  expect(await readSerialList('\n'.repeat(300_000), 200_000)).toEqual([])
})
