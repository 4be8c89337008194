import { refusalOfDatabase } from '../kernel/database-refusal.ts'
import { AppError, type ErrorCode } from '../kernel/errors.ts'

/** Errors of Fastify's own by their code; others with a 4xx status are bad requests. */
const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_NOT_FOUND: 'not_found',
}

/** One violated rule of a schema, as the validator compiler tells it. */
type Violation = { instancePath: string; message?: string }

/** Whatever was thrown while a request was handled, as one of the closed list. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (!(error instanceof Error)) return new AppError('internal', undefined, { cause: error })
  const { code, statusCode, validation, validationContext } = error as Partial<{
    code: string
    statusCode: number
    validation: Violation[]
    validationContext: string
  }>
  if (Array.isArray(validation)) return invalid(validation, validationContext)
  const known = code === undefined ? undefined : FASTIFY_CODES[code]
  if (known !== undefined) return new AppError(known, undefined, { cause: error })
  // Fastify gives 400 to what its client did wrong: a lying Content-Length, a body that broke off.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('invalid_request', error.message, { cause: error })
  }
  return new AppError('internal', undefined, { cause: error })
}

/** The same for a request of an operator, who may ask for what somebody else deletes at that moment. */
export function toOperatorError(error: unknown): AppError {
  return refusalOfDatabase(error) ?? toAppError(error)
}

function invalid(violations: readonly Violation[], context: string | undefined): AppError {
  const fields = violations.map(({ instancePath, message }) => ({
    path: pathOf(instancePath),
    message: message ?? 'is not valid',
    pointer: context === 'body' ? instancePath : null,
  }))
  const [first] = fields
  const part =
    context === 'querystring' ? 'query parameter' : context === 'body' ? 'field' : (context ?? 'field')
  const what =
    first === undefined || first.path === '' ? `The ${context ?? 'request'}` : `The ${part} ${first.path}`
  return new AppError('invalid_request', `${what} ${first?.message ?? 'is not valid'}.`, { fields })
}

/** A JSON pointer (RFC 6901) in the dotted spelling of the documentation. */
function pathOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.')
}
