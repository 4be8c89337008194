import { AppError } from '../kernel/errors.ts'
import { wordSet } from '../kernel/words.ts'
import { reasonOf } from './outage.ts'

/** Operator intervention: the server is stopping, has crashed or does not take connections yet. */
const SERVER_GONE = new Set(['57P01', '57P02', '57P03', '53300'])
const NETWORK_GONE = wordSet(`
  ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH
  ENOENT
`)
const DRIVER_GONE =
  /^(Connection terminated|timeout exceeded when trying to connect|Client (has encountered a connection error|was closed)|Cannot use a pool after calling end)/
/** serialization_failure and deadlock_detected: the same transaction may well succeed when it is run again. */
const WORTH_ANOTHER_TRY = new Set(['40001', '40P01'])

/**
 * An error of the driver as the rest of the server sees it: a lost database is `database_unavailable`, with where it should
 * be, others stay.
 */
export function translateError(error: unknown, where: string): unknown {
  if (error instanceof AppError || !isGone(error)) return error
  const message = `The database at ${where} cannot be reached: ${reasonOf(error)}`
  return new AppError('database_unavailable', message, { cause: error })
}

/** Whether a row was refused because another has the same key; `constraint` names the one that is meant. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return codeOf(error) === '23505' && (constraint === undefined || field(error, 'constraint') === constraint)
}

/** Whether a transaction failed only because of its neighbours and may be run again. */
export function isWorthAnotherTry(error: unknown): boolean {
  return WORTH_ANOTHER_TRY.has(codeOf(error))
}

function isGone(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isGone)
  const code = codeOf(error)
  if (code.startsWith('08') || SERVER_GONE.has(code) || NETWORK_GONE.has(code)) return true
  return error instanceof Error && DRIVER_GONE.test(error.message)
}

function codeOf(error: unknown): string {
  return field(error, 'code')
}

function field(error: unknown, name: 'code' | 'constraint'): string {
  const value: unknown = error instanceof Error && name in error ? Reflect.get(error, name) : undefined
  return typeof value === 'string' ? value : ''
}
