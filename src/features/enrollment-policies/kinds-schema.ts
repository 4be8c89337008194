import { type TSchema, type TStringOptions, Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { UNSEEN } from '../../kernel/names.ts'
import { orNull as schemaOrNull } from '../../kernel/schema.ts'
import { parseCertificate, readPem, writePem } from '../../protocol/x509/index.ts'

/** Something wrong with a policy: `path` is dotted (`ade.locked`). */
export type Problem = { path: string; message: string }

/** What a value may be: what the API says of it, what is wrong with one, and how a right one is kept. */
export interface Kind<T extends TSchema = TSchema> {
  schema: T
  problems: (value: unknown, path: string) => Problem[]
  tidy: (value: unknown) => unknown
}

/** Most characters of an id or a skip key. */
export const WORD_LENGTH = 64

const WORD = /^[\x21-\x7e]+$/
const CONTROL = new RegExp(`[${UNSEEN}]`, 'u')
const LINES = /[\n\r\t]/g

/** True or false. */
export function flag(description: string) {
  return kind(Type.Boolean({ description }), (value) =>
    typeof value === 'boolean' ? undefined : 'must be true or false',
  )
}

/** One of these texts. */
export function oneOf<const V extends string[]>(values: readonly [...V], description: string) {
  return kind(Type.Enum(values, { description }), (value) =>
    values.some((each) => each === value) ? undefined : `must be one of ${values.join(', ')}`,
  )
}

/** A whole number within these limits. */
export function integer(minimum: number, maximum: number, description: string) {
  return kind(Type.Integer({ minimum, maximum, description }), (value) => {
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum
    return fits ? undefined : `must be a whole number from ${minimum} to ${maximum}`
  })
}

/** What an id or a skip key looks like. */
export function word(options: TStringOptions = {}) {
  return kind(Type.String(options), (value) => {
    if (typeof value !== 'string') return 'must be a text'
    const fits = value.length <= WORD_LENGTH && WORD.test(value)
    return fits ? undefined : `must be 1 to ${WORD_LENGTH} characters without space`
  })
}

/** A line of text, or `lines`; `form` says what one looks like that matches `pattern`. */
export function text(
  options: TStringOptions,
  rules: { lines?: true; max?: number; pattern?: RegExp; form?: string } = {},
) {
  const { lines, max = options.maxLength ?? Infinity, pattern, form } = rules
  return kind(Type.String(options), (value) => {
    if (value === undefined) return 'is missing'
    if (typeof value !== 'string') return 'must be a text'
    if (options.minLength !== undefined && value === '') return 'must not be empty'
    if (value.length > max) return `must have at most ${max} characters`
    if (CONTROL.test(lines ? value.replaceAll(LINES, '') : value)) return 'must have no control characters'
    if (!lines && value.trim() !== value) return 'must have no space at its ends'
    return pattern && !pattern.test(value) ? `must be ${form}` : undefined
  })
}

/** A certificate in PEM, which is kept without what stands around it. */
export const certificate = kind(
  Type.String(),
  (value) => {
    if (typeof value !== 'string') return 'must be a certificate in PEM'
    try {
      if (readPem(value).some(({ label }) => label.endsWith('PRIVATE KEY')))
        return 'holds a private key, which nobody here needs: give the certificate alone'
      parseCertificate(value).publicKey()
      return undefined
    } catch (error) {
      if (error instanceof AppError) return `is no certificate in PEM: ${error.message}`
      throw error
    }
  },
  (pem) => writePem('CERTIFICATE', parseCertificate(pem as string).der),
)

/** A value or null; an empty text is null. */
export function orNull<T extends TSchema & { description?: string }>(given: Kind<T>, description?: string) {
  const isNull = (value: unknown) => value === null || value === ''
  return {
    schema: schemaOrNull(given.schema, description),
    problems: (value: unknown, path: string) => (isNull(value) ? [] : given.problems(value, path)),
    tidy: (value: unknown) => (isNull(value) ? null : given.tidy(value)),
  }
}

/** Values of a kind, none of which is kept twice. */
export function list<T extends TSchema>(maxItems: number, item: Kind<T>, description: string) {
  return {
    schema: Type.Array(item.schema, { maxItems, description }),
    problems(value: unknown, path: string): Problem[] {
      if (!Array.isArray(value)) return [{ path, message: 'must be a list' }]
      if (value.length > maxItems) return [{ path, message: `must have at most ${maxItems} items` }]
      return value.flatMap((each, index) => item.problems(each, `${path}.${index}`))
    },
    tidy: (value: unknown) => [...new Set((value as unknown[]).map(item.tidy))],
  }
}

function kind<T extends TSchema>(
  schema: T,
  wrong: (value: unknown) => string | undefined,
  tidy = (value: unknown) => value,
): Kind<T> {
  const problems = (value: unknown, path: string) => {
    const message = wrong(value)
    return message === undefined ? [] : [{ path, message }]
  }
  return { schema, problems, tidy }
}
