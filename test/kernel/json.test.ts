import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { parseJson } from '../../src/kernel/json.ts'

/** What a text is refused with, or its value. */
function read(text: string | Buffer, maxValues = 100): unknown {
  try {
    return parseJson(typeof text === 'string' ? Buffer.from(text) : text, maxValues)
  } catch (error) {
    return error instanceof AppError ? error.code : error
  }
}

describe('JSON from outside', () => {
  test.each([
    ['{"a":[1,"x",null,{"b":"\\u00e4\\"]}"}]}', { a: [1, 'x', null, { b: 'ä"]}' }] }],
    [' 7 ', 7],
    ['\uFEFF{}', {}],
    ['"\\\\"', '\\'],
    ['{"constructor":{"name":1},"hasOwnProperty":2}', { constructor: { name: 1 }, hasOwnProperty: 2 }],
    ['"\\ud83d\\ude00"', '😀'],
  ])('%s is taken', (text, value) => expect(read(text)).toEqual(value))

  test.each([
    ...['', '{', '{"a":}', "{'a':1}", '[1,]', 'NaN', '"\\', '"a', '{"a":1}}'],
    ...['{"__proto__":1}', '[{"\\u005f_proto__":{"a":1}}]', '{"constructor":{"prototype":{}}}'],
    ...['['.repeat(65) + ']'.repeat(65), '{"a":'.repeat(65) + '1' + '}'.repeat(65), '['.repeat(200_000)],
  ])('%s is no JSON of ours', (text) => expect(read(text, 1_000_000)).toBe('invalid_json'))

  test('what is no UTF-8 is refused', () => {
    expect(read(Buffer.from('{"a":"\xff"}', 'latin1'))).toBe('invalid_json')
    expect(read(Buffer.from('"\xed\xa0\x80"', 'latin1'))).toBe('invalid_json')
  })

  test.each(['"\\u0000"', '{"a\\u0000":1}', '["\\ud800"]', '{"\\udc00":1}', '{"a":{"b":["x\\ud800y"]}}'])(
    '%s can be stored nowhere',
    (text) => expect(read(text)).toBe('invalid_request'),
  )

  test('what is wrong is told with where it stands', () => {
    const refused = (text: string) => {
      try {
        return parseJson(Buffer.from(text), 100)
      } catch (error) {
        return (error as AppError).fields
      }
    }
    expect(refused('{"a":{"b":["x","\\ud800"]}}')).toEqual([
      { path: 'a.b.1', pointer: '/a/b/1', message: 'has an unpaired surrogate in it' },
    ])
    expect(refused('{"a":{"b\\u0000":1}}')).toEqual([
      { path: 'a.b\uFFFD', pointer: '/a/b\uFFFD', message: 'has a U+0000 in it' },
    ])
  })

  test('values and names are counted before anything is made of them, not what stands in texts', () => {
    expect(read(`[${'1,'.repeat(97)}1]`)).toHaveLength(98)
    expect(read(`[${'1,'.repeat(99)}1]`)).toBe('too_many_values')
    const object = (count: number) => `{${Array.from({ length: count }, (_, at) => `"a${at}":1`).join(',')}}`
    expect(Object.keys(read(object(49)) as object)).toHaveLength(49)
    expect(read(object(50))).toBe('too_many_values')
    expect(read(JSON.stringify([',:{["\\'.repeat(1_000)]))).toHaveLength(1)
    expect(read('[],'.repeat(1_000_000))).toBe('too_many_values')
  })
})
