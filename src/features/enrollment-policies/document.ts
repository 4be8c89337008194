import { AppError } from '../../kernel/errors.ts'
import { parseCertificate, writePem } from '../../protocol/x509/index.ts'
import { checkCombinations } from './combinations.ts'
import { adeWithDefaults, withDefaults } from './defaults.ts'
import { mergePatch } from './merge-patch.ts'
import { checkFields } from './rules.ts'
import type { PolicyFields, Problem } from './types.ts'

/** Problems that one answer names. */
const MAX_NAMED = 100

/**
 * The document that a merge patch makes of a policy (of nothing: a new one), complete but not checked; what the patch
 * takes away has its default.
 */
export function patched(current: PolicyFields | undefined, patch: unknown): unknown {
  return withDefaults(mergePatch(current, patch))
}

/** Everything that is wrong with a document by itself. */
export function problemsOf(document: unknown): Problem[] {
  return [...checkFields(document), ...checkCombinations(document)]
}

/** A document without problems as it is kept: empty texts are null, nothing stands twice in a list, PEM is tidy. */
export function tidy(document: unknown): PolicyFields {
  const policy = document as PolicyFields
  const ade = adeWithDefaults(policy.ade)
  return {
    ...policy,
    sign_in_source_id: policy.sign_in_source_id || null,
    group_id: policy.group_id || null,
    ade: {
      ...ade,
      department: ade.department || null,
      support_phone_number: ade.support_phone_number || null,
      support_email_address: ade.support_email_address || null,
      minimum_os_version: ade.minimum_os_version || null,
      pairing_certificates: [...new Set(ade.pairing_certificates.map(tidyPem))],
      additional_skip_keys: [...new Set(ade.additional_skip_keys)],
    },
  }
}

/** Throws AppError `invalid_request` that names every problem; nothing when there is none. */
export function refuse(problems: readonly Problem[]): void {
  const [first] = problems
  if (first === undefined) return
  const what = first.path === '' ? 'The policy' : `The field ${first.path}`
  const more = problems.length > 1 ? ` ${problems.length - 1} more are wrong.` : ''
  throw new AppError('invalid_request', `${what} ${first.message}.${more}`, {
    fields: problems.slice(0, MAX_NAMED),
  })
}

/** The dotted names of the fields in which two policies differ; of `ade`, each field by itself. */
export function differences(before: PolicyFields, after: PolicyFields): string[] {
  const flat = ({ ade, ...rest }: PolicyFields) =>
    new Map([
      ...Object.entries(rest),
      ...Object.entries(ade).map(([name, value]): [string, unknown] => [`ade.${name}`, value]),
    ])
  const old = flat(before)
  return [...flat(after)].filter(([name, value]) => !isSame(old.get(name), value)).map(([name]) => name)
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

/** The database does not keep the order of an object's members. */
function sorted(value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)) : value
}

function tidyPem(pem: string): string {
  return writePem('CERTIFICATE', parseCertificate(pem).der)
}
