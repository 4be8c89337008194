import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../kernel/errors.ts'
import { parseTemplate, secretOf } from '../../kernel/template.ts'
import { withDefaults } from './defaults.ts'
import { POLICY, type PolicyFields } from './schema.ts'
import type { Problem } from './kinds-schema.ts'
import { mergePatch } from '../../kernel/merge-patch.ts'

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
  return POLICY.problems(document, '')
}

/** A document without problems as it is kept: empty texts are null, nothing stands twice in a list, PEM is tidy. */
export function tidy(document: unknown): PolicyFields {
  return POLICY.tidy(document) as PolicyFields
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

/** Throws AppError `template_invalid` where the name of devices has a variable that there is not, or that none can have. */
export function checkNameTemplate({ device_name_template: template }: PolicyFields): void {
  const problem = template === null ? undefined : templateProblem(template)
  if (problem === undefined) return
  const faults = [{ pointer: '/device_name_template', detail: problem }]
  throw new AppError('template_invalid', problem, { faults })
}

function templateProblem(template: string): string | undefined {
  const parsed = parseTemplate(template)
  if (!parsed.ok) return parsed.problem
  for (const { name } of parsed.variables) {
    if (name === 'device.name') return 'The name of a device cannot be made of {{device.name}}.'
    if (secretOf(name) !== undefined) return 'The name of a device is no place for a secret.'
  }
  return undefined
}

/** The dotted names of the fields in which two policies differ; of `ade`, each field by itself. */
export function differences(before: PolicyFields, after: PolicyFields): string[] {
  const flat = ({ ade, ...rest }: PolicyFields) =>
    new Map([
      ...Object.entries(rest),
      ...Object.entries(ade).map(([name, value]): [string, unknown] => [`ade.${name}`, value]),
    ])
  const old = flat(before)
  return [...flat(after)]
    .filter(([name, value]) => !isDeepStrictEqual(old.get(name), value))
    .map(([name]) => name)
}
