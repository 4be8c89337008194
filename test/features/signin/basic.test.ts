import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBasic } from '../../../src/features/signin/index.ts'

const basic = (text: string, encoding: BufferEncoding = 'utf8') =>
  `Basic ${Buffer.from(text, encoding).toString('base64')}`

describe('Basic credentials', () => {
  test.each([
    [basic('anna:pa:ss:'), { userName: 'anna', password: 'pa:ss:' }],
    [basic('anna:'), { userName: 'anna', password: '' }],
    [basic('EXAMPLE\\anna:x'), { userName: 'EXAMPLE\\anna', password: 'x' }],
    [basic(' anna@example.com :  x '), { userName: 'anna@example.com', password: '  x ' }],
    [basic('jörg:Grüße€'), { userName: 'jörg', password: 'Grüße€' }],
    [basic('jörg:Grüße', 'latin1'), { userName: 'jörg', password: 'Grüße' }],
    [basic('anna:\uFEFFx'), { userName: 'anna', password: '\uFEFFx' }],
    [basic('anna:x').replace('Basic', 'bAsIc  '), { userName: 'anna', password: 'x' }],
  ])('%s', (header, expected) => {
    expect(readBasic(header)).toEqual(expected)
  })

  test.each([
    [undefined, 'no credentials were sent'],
    [' ', 'no credentials were sent'],
    [basic('anna'), 'hold no colon'],
    [basic(''), 'not one of the Basic scheme'],
    ['Basic', 'not one of the Basic scheme'],
    ['Basic !!!', 'not one of the Basic scheme'],
    ['Bearer YTpi', 'not one of the Basic scheme'],
    ['Digest username="a"', 'not one of the Basic scheme'],
    [basic(':x'), 'the user name is empty'],
    [basic('  :x'), 'the user name is empty'],
    [basic('an\0na:x'), 'control characters'],
    [basic('an\nna:x'), 'control characters'],
    [basic('anna:x\0'), 'control characters'],
    [basic(`anna:${'x'.repeat(10_000)}`), 'too long'],
  ])('%j has nothing to check', (header, problem) => {
    expect(readBasic(header)).toEqual({ problem: expect.stringContaining(problem) })
  })

  test('whatever a client sends comes back as it was meant, in UTF-8', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 })
    fc.assert(
      fc.property(text, text, (name, password) => {
        fc.pre(!/\p{Cc}|:/u.test(name) && name.trim() !== '' && !password.includes('\0'))
        fc.pre(name.isWellFormed() && password.isWellFormed())
        expect(readBasic(basic(`${name}:${password}`))).toEqual({ userName: name.trim(), password })
      }),
      { numRuns: 300 },
    )
  })
})
