import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { decodeCursor, encodeCursor, page } from '../../src/kernel/paging.ts'

function refusal(run: () => unknown): { code: string; message: string } {
  try {
    run()
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('It was not refused.')
}

describe('cursors', () => {
  test('whatever key goes in comes out', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !value.includes('\0'))
    fc.assert(
      fc.property(text, fc.maxSafeInteger(), (name, id) => {
        expect(decodeCursor(encodeCursor([name, id]), ['string', 'number'])).toEqual([name, id])
      }),
      { numRuns: 200 },
    )
  })

  test('no cursor is the first page', () => {
    expect(decodeCursor(undefined, ['string'])).toBeUndefined()
  })

  const bad = {
    'not base64url': 'a b',
    empty: '',
    'not JSON': Buffer.from('nothing').toString('base64url'),
    'not UTF-8': Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]).toString('base64url'),
    'another type': encodeCursor([1]),
    'another length': encodeCursor(['a', 'b']),
    'an object': Buffer.from('{"0":"a","length":1}').toString('base64url'),
    'a NUL': encodeCursor(['a\0']),
    'a lone surrogate': Buffer.from('["\\ud800"]').toString('base64url'),
    'too long': encodeCursor(['x'.repeat(2000)]),
  }
  test.each(Object.entries(bad))('refuses one that is %s', (_, cursor) => {
    expect(refusal(() => decodeCursor(cursor, ['string']))).toEqual({
      code: 'invalid_request',
      message: 'The cursor is not one that this list gave.',
    })
  })

  test('what comes before a page is counted from none', () => {
    expect(decodeCursor(encodeCursor([0]), ['offset'])).toEqual([0])
    for (const value of [-1, 0.5, 2 ** 53])
      expect(refusal(() => decodeCursor(encodeCursor([value]), ['offset'])).code).toBe('invalid_request')
  })

  test('never fails otherwise on random text', () => {
    fc.assert(
      fc.property(fc.base64String(), (text) => {
        const cursor = text.replaceAll(/[+/=]/g, '_')
        try {
          decodeCursor(cursor, ['string', 'number'])
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('pages', () => {
  const keyOf = (row: { id: string }) => [row.id]

  test('a row too many makes a next cursor and is left out', () => {
    const rows = [{ id: 'a' }, { id: 'b' }, { id: 'c' }]
    expect(page(rows, 2, keyOf)).toEqual({ items: rows.slice(0, 2), next_cursor: encodeCursor(['b']) })
  })

  test('a full last page and an empty one have none', () => {
    expect(page([{ id: 'a' }], 1, keyOf).next_cursor).toBeNull()
    expect(page([], 1, keyOf)).toEqual({ items: [], next_cursor: null })
  })
})
