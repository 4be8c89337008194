import type { Env, Variable } from './env.ts'

/** One thing that is wrong with one setting; `message` goes on after the variable's name. */
type Problem = { readonly variable: string; readonly message: string }

/** Everything that is wrong with the settings, told at once; it ends the start. Holds no secret. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const lines = problems.map(({ variable, message }) => `  ${variable} ${message}`)
    super(
      `The settings have ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}`,
    )
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Collects problems while settings are read one by one. */
export type Reader = ReturnType<typeof createReader>

/** A reader of `env` with no problems yet. */
export function createReader(env: Env) {
  const problems: Problem[] = []
  const note = (variable: string, message: string) => void problems.push({ variable, message })
  return {
    problems,
    note,
    has: (variable: Variable) => env.values[variable] !== undefined,
    /** The setting's value; `fallback` when it is unset or, with a problem noted, when `parse` throws. */
    read<T, F>(variable: Variable, parse: (text: string) => T, fallback: F): T | F {
      const text = env.values[variable]
      if (text === undefined) return fallback
      try {
        return parse(text)
      } catch (error) {
        note(variable, error instanceof Error ? error.message : String(error))
        return fallback
      }
    },
  }
}
