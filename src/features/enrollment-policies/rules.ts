import { UNSEEN } from '../../kernel/names.ts'
import { readPem, parseCertificate } from '../../protocol/x509/index.ts'
import { AppError } from '../../kernel/errors.ts'
import { isRecord } from './merge-patch.ts'
import { PAIRINGS, PANES, SIGN_INS, USER_AFFINITIES, type Problem } from './types.ts'

/** Apple's limits, and ours where Apple has none: most characters, items, or minutes. */
export const LIMITS = {
  name: 125,
  description: 2000,
  department: 125,
  supportPhoneNumber: 50,
  supportEmailAddress: 250,
  pairingCertificates: 10,
  additionalSkipKeys: 100,
  skipKey: 64,
  deadlineMinutes: 1440,
} as const

/** What an id or a skip key looks like. */
const WORD = /^[\x21-\x7e]+$/
const CONTROL = new RegExp(`[${UNSEEN}]`, 'u')
const LINES = /[\n\r\t]/g
const EMAIL = /^[^\s@]+@[^\s@]+$/
const OS_VERSION = /^\d{1,3}(\.\d{1,3}){0,3}$/

type Rule = (value: unknown, path: string) => Problem[]

/** Every field with what it may be; none is optional, as defaults were filled in before. */
const POLICY = object({
  name: text({ max: LIMITS.name, required: true }),
  description: text({ max: LIMITS.description, lines: true }),
  user_affinity: oneOf(USER_AFFINITIES),
  sign_in_source_id: orNull(word(LIMITS.skipKey)),
  group_id: orNull(word(LIMITS.skipKey)),
  ade: object({
    enabled: flag,
    department: orNull(text({ max: LIMITS.department })),
    support_phone_number: orNull(text({ max: LIMITS.supportPhoneNumber })),
    support_email_address: orNull(
      text({ max: LIMITS.supportEmailAddress, pattern: EMAIL, form: 'an email address' }),
    ),
    supervised: flag,
    locked: flag,
    pairing: oneOf(PAIRINGS),
    pairing_certificates: list(LIMITS.pairingCertificates, certificate),
    setup_assistant: object(Object.fromEntries(PANES.map((pane) => [pane, flag]))),
    additional_skip_keys: list(LIMITS.additionalSkipKeys, word(LIMITS.skipKey)),
    minimum_os_version: orNull(text({ max: 15, pattern: OS_VERSION, form: 'a version such as 17.5.1' })),
    await_device_configured: flag,
    configuration_deadline_minutes: orNull(integer(1, LIMITS.deadlineMinutes)),
    sign_in: oneOf(SIGN_INS),
  }),
})

/** What is wrong with the single fields of a policy's document. */
export function checkFields(document: unknown): Problem[] {
  return POLICY(document, '')
}

function object(rules: Readonly<Record<string, Rule>>): Rule {
  return (value, path) => {
    if (!isRecord(value)) return [{ path, message: 'must be an object' }]
    const inside = (name: string) => (path === '' ? name : `${path}.${name}`)
    const unknown = Object.keys(value).filter((name) => !Object.hasOwn(rules, name))
    return [
      ...Object.entries(rules).flatMap(([name, rule]) => rule(value[name], inside(name))),
      ...unknown.map((name) => ({ path: inside(name), message: 'is not known here' })),
    ]
  }
}

function orNull(rule: Rule): Rule {
  return (value, path) => (value === null || value === '' ? [] : rule(value, path))
}

function list(max: number, rule: Rule): Rule {
  return (value, path) => {
    if (!Array.isArray(value)) return [{ path, message: 'must be a list' }]
    if (value.length > max) return [{ path, message: `must have at most ${max} items` }]
    return value.flatMap((item, index) => rule(item, `${path}.${index}`))
  }
}

function flag(value: unknown, path: string): Problem[] {
  return typeof value === 'boolean' ? [] : [{ path, message: 'must be true or false' }]
}

function oneOf(values: readonly string[]): Rule {
  return check((value) => {
    const isOne = typeof value === 'string' && values.includes(value)
    return isOne ? undefined : `must be one of ${values.join(', ')}`
  })
}

function integer(min: number, max: number): Rule {
  return check((value) => {
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
    return fits ? undefined : `must be a whole number from ${min} to ${max}`
  })
}

function word(max: number): Rule {
  return check((value) => {
    if (typeof value !== 'string') return 'must be a text'
    return value.length <= max && WORD.test(value)
      ? undefined
      : `must be 1 to ${max} characters without space`
  })
}

function text(options: {
  max: number
  required?: true
  lines?: true
  pattern?: RegExp
  form?: string
}): Rule {
  return check((value) => {
    if (value === undefined) return 'is missing'
    if (typeof value !== 'string') return 'must be a text'
    if (options.required && value === '') return 'must not be empty'
    if (value.length > options.max) return `must have at most ${options.max} characters`
    if (CONTROL.test(options.lines ? value.replaceAll(LINES, '') : value))
      return 'must have no control characters'
    if (!options.lines && value.trim() !== value) return 'must have no space at its ends'
    return options.pattern && !options.pattern.test(value) ? `must be ${options.form}` : undefined
  })
}

function certificate(value: unknown, path: string): Problem[] {
  if (typeof value !== 'string') return [{ path, message: 'must be a certificate in PEM' }]
  try {
    if (readPem(value).some(({ label }) => label.endsWith('PRIVATE KEY')))
      return [{ path, message: 'holds a private key, which nobody here needs: give the certificate alone' }]
    parseCertificate(value).publicKey()
    return []
  } catch (error) {
    if (error instanceof AppError) return [{ path, message: `is no certificate in PEM: ${error.message}` }]
    throw error
  }
}

function check(problemOf: (value: unknown) => string | undefined): Rule {
  return (value, path) => {
    const message = problemOf(value)
    return message === undefined ? [] : [{ path, message }]
  }
}
