import { readEnv } from '../config/env.ts'
import type { Env } from '../config/env.ts'
import { runApiVerb } from './api-verb.ts'
import { readArguments } from './arguments.ts'
import type { CommonOptions } from './arguments.ts'
import { ApiProblem, Unreachable } from './client.ts'
import type { Problem } from './client.ts'
import { connect } from './connection.ts'
import { follow } from './follow.ts'
import { helpOf, overview } from './help.ts'
import { readSimulateOptions, simulate as runSimulation } from './simulate.ts'
import type { SimulateDeps } from './simulate.ts'
import type { Input, Verb } from './verb.ts'
import { UsageError } from './verb.ts'
import { followEvents, migrate, serve, simulate, VERBS } from './verbs/index.ts'

/** Exit codes of every verb. */
const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/** What the command line needs from around it. */
export interface CliDeps {
  /** Runs the server until it is told to stop; gives the exit code. */
  serve: () => Promise<number>
  /** Brings the database up to date; gives the exit code. */
  migrate: () => Promise<number>
  /** Runs fake devices; the shipped simulation by default. */
  simulate?: (deps: SimulateDeps) => Promise<number>
  stdout: { write(text: string): unknown }
  stderr: { write(text: string): unknown }
  /** Ends what runs until stopped (`simulate`, `events follow`); SIGINT and SIGTERM by default. */
  signal?: AbortSignal
  env?: Env['values']
  now?: () => Date
}

/**
 * Runs one command line (without the program's own name) and gives the exit code: 0 ok, 1 failed, 2 wrong usage.
 * It never throws for what a user or a server does.
 */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  try {
    return await dispatch(argv, deps)
  } catch (error) {
    if (error instanceof UsageError) {
      const hint = error.verb === undefined ? '--help' : `${error.verb.words.join(' ')} --help`
      deps.stderr.write(`${error.message}\nSee: firstboot ${hint}\n`)
      return EXIT.usage
    }
    if (error instanceof ApiProblem) deps.stderr.write(formatProblem(error.problem))
    else if (error instanceof Unreachable) deps.stderr.write(`${error.message}\n`)
    else throw error
    return EXIT.failed
  }
}

async function dispatch(argv: readonly string[], deps: CliDeps): Promise<number> {
  const verb = findVerb(argv)
  if (verb === undefined) return showOverview(argv, deps)
  const now = deps.now ?? (() => new Date())
  const { common, input } = await readArguments(verb, argv.slice(verb.words.length), now())
  if (common.help) {
    deps.stdout.write(helpOf(verb))
    return EXIT.ok
  }
  if (verb === serve) return deps.serve()
  if (verb === migrate) return deps.migrate()
  const connection = connect(common, deps.env ?? readEnv().values)
  if (verb === simulate) {
    const options = readSimulateOptions(input.verb)
    const run = deps.simulate ?? runSimulation
    return run({ ...connection, options, write: (text) => void deps.stdout.write(text), ...signalOf(deps) })
  }
  if (verb === followEvents) return followUntilStopped(connection, input, common, deps)
  deps.stdout.write(await runApiVerb(verb, input, common, connection.api))
  return EXIT.ok
}

async function followUntilStopped(
  { api }: ReturnType<typeof connect>,
  { query }: Input,
  { output }: CommonOptions,
  deps: CliDeps,
): Promise<number> {
  await follow({
    ...{ api, query, output, signal: signalOf(deps).signal },
    write: (text) => void deps.stdout.write(text),
    warn: (text) => void deps.stderr.write(text),
  })
  return EXIT.ok
}

function signalOf({ signal }: CliDeps): { signal: AbortSignal } {
  if (signal !== undefined) return { signal }
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  return { signal: stop.signal }
}

function findVerb(argv: readonly string[]): Verb | undefined {
  return VERBS.find(({ words }) => words.every((word, index) => argv[index] === word))
}

/** No verb was found: the help that was asked for, or what is wrong. */
function showOverview(argv: readonly string[], deps: CliDeps): number {
  const asked = argv[0] === 'help' ? argv.slice(1) : argv
  const words = asked.filter((word) => !word.startsWith('-'))
  const wantsHelp = argv[0] === 'help' || asked.includes('--help') || asked.includes('-h')
  const [first] = words
  const group = first === undefined ? VERBS : VERBS.filter((verb) => verb.words[0] === first)
  if (wantsHelp && group.length > 0) {
    const exact = findVerb(words)
    deps.stdout.write(exact === undefined ? overview(group, words.slice(0, 1)) : helpOf(exact))
    return EXIT.ok
  }
  if (first === undefined) {
    deps.stderr.write(overview(VERBS))
    return EXIT.usage
  }
  const known = group.length > 0
  const message = known ? `${first} needs one of: ${group.map(({ words: [, next] }) => next).join(', ')}` : ''
  throw new UsageError(known ? message : `${JSON.stringify(first)} is no verb`)
}

function formatProblem({ status, title, detail, code, errors, request_id: requestId }: Problem): string {
  const lines = [
    `${detail ?? title} (${[code, status].filter((part) => part !== undefined).join(', ')})`,
    ...(errors ?? []).map(({ path, message }) => `  ${path}: ${message}`),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ]
  return `${lines.join('\n')}\n`
}
