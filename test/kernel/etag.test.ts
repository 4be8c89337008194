import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { checkIfMatch, etagOf } from '../../src/kernel/etag.ts'

function outcome(header: string | undefined, version: number): string {
  try {
    checkIfMatch(header, version)
    return 'passes'
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
}

describe('If-Match', () => {
  test.each([
    [undefined, 'passes'],
    ['*', 'passes'],
    [etagOf(7), 'passes'],
    ['"6", "7"', 'passes'],
    ['W/"6","7"', 'passes'],
    [' "7" ', 'passes'],
    ['"6"', 'precondition_failed'],
    ['"77"', 'precondition_failed'],
    ['W/"7"', 'precondition_failed'],
    ['', 'precondition_failed'],
    ['7', 'invalid_request'],
    ['"6" "7"', 'invalid_request'],
    ['"7', 'invalid_request'],
    ['"6", *', 'invalid_request'],
  ])('%s against version 7: %s', (header, expected) => {
    expect(outcome(header, 7)).toBe(expected)
  })

  // What took the square of its length would not end before the test does.
  test('a long hostile header is refused', () => {
    expect(outcome(' '.repeat(3_000_000) + '"'.repeat(3_000_000), 7)).toBe('invalid_request')
  })
})
