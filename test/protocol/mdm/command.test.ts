import * as fc from 'fast-check'
import { parse } from 'plist'
import { describe, expect, test } from 'vitest'
import { buildCommand, fromJson, parseCommand, toJson } from '../../../src/protocol/mdm/index.ts'
import { parsePlist, writePlist } from '../../../src/protocol/plist/index.ts'
import type { WritablePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { plain } from '../plist/plain.ts'

test('a command from JSON, read by the plist package and by parseCommand', () => {
  const bytes = buildCommand('0f6a2c1e', 'InstallProfile', {
    Payload: { $data: 'AQID' },
    RequestType: 'InstallProfile',
    Settings: [{ Item: 'x', After: { $date: '2026-01-02T03:04:05.9+01:00' }, Count: 3, Share: 0.5 }],
  })
  const command = {
    RequestType: 'InstallProfile',
    Payload: Buffer.from([1, 2, 3]),
    Settings: [{ Item: 'x', After: new Date('2026-01-02T02:04:05Z'), Count: 3, Share: 0.5 }],
  }
  expect(plain(parse(bytes.toString()))).toEqual(plain({ Command: command, CommandUUID: '0f6a2c1e' }))
  expect(plain(parseCommand(bytes))).toEqual(
    plain({ uuid: '0f6a2c1e', requestType: 'InstallProfile', command }),
  )
})

describe('a raw plist that is no command', () => {
  test.each<[WritablePlist, string]>([
    [[], 'The command is not a dictionary'],
    [{ CommandUUID: 'A' }, 'Command is missing or not a dictionary'],
    [{ CommandUUID: 'A', Command: 'x' }, 'Command is missing or not a dictionary'],
    [{ CommandUUID: 'A', Command: {} }, 'Command.RequestType is missing or not a text'],
    [{ CommandUUID: 'A', Command: { RequestType: '' } }, 'Command.RequestType is missing or not a text'],
    [{ Command: { RequestType: 'X' } }, 'CommandUUID is missing or not a text'],
    [{ CommandUUID: 5, Command: { RequestType: 'X' } }, 'CommandUUID is missing or not a text'],
    [
      { CommandUUID: 'x'.repeat(129), Command: { RequestType: 'X' } },
      'CommandUUID is longer than 128 characters',
    ],
    [{ CommandUUID: 'a\nb', Command: { RequestType: 'X' } }, 'CommandUUID holds a control character'],
  ])('%j', (value, reason) => {
    const bytes = Buffer.from(writePlist(value))
    expect(refusal(() => parseCommand(bytes))).toMatchObject({ code: 'command_invalid', message: reason })
  })

  test('nor a plist', () => {
    expect(refusal(() => parseCommand(Buffer.from('x')))?.code).toBe('plist_invalid')
  })
})

describe('JSON that is no command', () => {
  const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) })
  test.each<[Record<string, unknown>, string]>([
    [{ a: null }, 'a: null cannot be sent'],
    [{ a: [1, { b: null }] }, 'a[1].b: null cannot be sent'],
    [{ a: 2 ** 60 }, 'a: the integer is too large'],
    [{ a: { $data: 5 } }, 'a: $data is not a string'],
    [{ a: { $data: 'A' } }, 'a: $data is not base64'],
    [{ a: { $data: 'AA==', b: 1 } }, 'a: $data and $date stand alone in their object'],
    [{ a: { b: 1, $date: '2026-01-02T03:04:05Z' } }, 'a: $data and $date stand alone in their object'],
    [{ a: { $date: '2026-01-02' } }, 'a: $date is not an RFC 3339 date and time'],
    [{ a: { $date: '2026-02-30T00:00:00Z' } }, 'a: $date is not an RFC 3339 date and time'],
    [{ a: { $date: '2026-01-02T24:00:00Z' } }, 'a: $date is not an RFC 3339 date and time'],
    [{ a: 'x\u0000' }, 'Command.a: the character U+0000 cannot be written'],
    [{ a: '\ud800' }, 'Command.a: a lone surrogate cannot be written'],
    [{ RequestType: 'Other' }, 'RequestType: not the type of this command'],
  ])('%j', (fields, reason) => {
    expect(refusal(() => buildCommand('A', 'X', fields))).toMatchObject({
      code: 'command_invalid',
      message: reason,
    })
  })

  test('too deep, and a path for forms', () => {
    expect(buildCommand('A', 'X', { a: deep(58) })).toBeInstanceOf(Buffer)
    const refused = refusal(() => buildCommand('A', 'X', { a: deep(60) }))
    expect(refused?.message).toBe(`a${'.a'.repeat(59)}: nested deeper than 60`)
    expect(refusal(() => fromJson({ b: [null] }, 'command'))).toMatchObject({
      fields: [{ path: 'command.b[0]', message: 'null cannot be sent' }],
      faults: [{ pointer: '/command/b/0', detail: 'null cannot be sent' }],
    })
  })

  test('an envelope that is none', () => {
    expect(refusal(() => buildCommand('', 'X'))?.message).toBe('CommandUUID is missing or not a text')
    expect(refusal(() => buildCommand('A', 'x\u0001'))?.message).toBe('RequestType holds a control character')
  })
})

test('a key __proto__ in JSON is plain data', () => {
  const value = fromJson(JSON.parse('{"__proto__": {"a": 1}}')) as object
  expect(Object.getPrototypeOf(value)).toBeNull()
  expect(JSON.stringify(toJson(value as never))).toBe('{"__proto__":{"a":1}}')
})

test('values for JSON', () => {
  const value = parsePlist(
    Buffer.from(
      writePlist([2n ** 63n, new Date('2026-01-02T03:04:05Z'), Buffer.from([255]), { a: true }, 1.5]),
    ),
  )
  expect(toJson(value)).toEqual([
    '9223372036854775808',
    { $date: '2026-01-02T03:04:05Z' },
    { $data: '/w==' },
    { a: true },
    1.5,
  ])
  expect(toJson([NaN, Infinity])).toEqual([null, null])
})

test('JSON survives the way to a property list and back', () => {
  const tagged = fc.oneof(
    fc.uint8Array().map((bytes) => ({ $data: Buffer.from(bytes).toString('base64') })),
    fc
      .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => ({ $date: `${date.toISOString().slice(0, 19)}Z` })),
  )
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      tagged,
      fc.string({ unit: 'grapheme' }),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(fc.string({ unit: 'grapheme-ascii' }), tie('value'), { maxKeys: 5 }),
    ),
  }))
  fc.assert(
    fc.property(value, (json) => {
      const there = Buffer.from(writePlist(fromJson(json)))
      expect(plain(toJson(parsePlist(there)))).toEqual(plain(json))
    }),
    { numRuns: 200 },
  )
})
