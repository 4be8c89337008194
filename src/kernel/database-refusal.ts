import { AppError } from './errors.ts'

/** foreign_key_violation, unique_violation and restrict_violation (PostgreSQL, appendix A). */
const VIOLATIONS = new Set(['23503', '23505', '23001'])
/** Values that no column can hold, whatever let them through: too long, out of range, no date, no text of ours. */
const UNUSABLE = new Set(['22001', '22003', '22007', '22008', '22021', '22P02', '22P05', '54000'])

/**
 * What an operator's request is refused with when the database did not take it: `conflict` when something that it names was made or
 * deleted at the very moment, `invalid_request` for a value that cannot be stored. Undefined for any other error.
 */
export function refusalOfDatabase(error: unknown): AppError | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  if (typeof code !== 'string') return undefined
  if (VIOLATIONS.has(code)) {
    const message = 'Something that this names, or that names it, was made or deleted at the same moment.'
    return new AppError('conflict', message, { cause: error })
  }
  return UNUSABLE.has(code)
    ? new AppError('invalid_request', 'A value is not one that can be stored.', { cause: error })
    : undefined
}
