import type { Problem } from './client.ts'
import type { Verb } from './verb.ts'

/** A refusal in the words of the command line: options and arguments, where the API names fields. */
export function formatProblem(problem: Problem, verb: Verb | undefined): string {
  const { status, title, detail, code, errors = [], request_id: requestId } = problem
  const named = errors.map((error) => {
    const [path, message] = 'path' in error ? [error.path, error.message] : [error.pointer, error.detail]
    return { name: nameOf(path, verb), path, message }
  })
  const isNamed = named.length > 0 && named.every(({ name }) => name !== undefined)
  const lines = [
    `${isNamed ? title : (detail ?? title)} (${[code, status].filter((part) => part !== undefined).join(', ')})`,
    ...named.map(({ name, path, message }) => `  ${name ?? path}: ${message}`),
    ...(problem.used_by ?? []).map(({ kind, id, name }) => `  ${kind} ${name} (${id})`),
    ...(problem.devices ?? []).map(
      ({ device_id: device, reasons, details = reasons }) => `  ${device}: ${details.join(' ')}`,
    ),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ]
  return `${lines.join('\n')}\n`
}

/** What the command line calls a field; undefined where it has no name of its own for it. */
function nameOf(path: string, verb: Verb | undefined): string | undefined {
  const [field, ...within] = path.startsWith('/') ? path.slice(1).split('/') : path.split('.', 1)
  const option = Object.entries(verb?.options ?? {}).find(
    ([name, { field: own }]) => (own ?? name.replaceAll('-', '_')) === field,
  )
  if (option !== undefined) return [`--${option[0]}`, ...within].join('/')
  const argument = verb?.arguments?.find(({ name, field: own }) => (own ?? name) === field)
  return argument === undefined ? undefined : `<${argument.name}>`
}
