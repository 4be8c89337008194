import { homedir } from 'node:os'
import { isStartedByNpm, readEnv, type Env } from '../config/env.ts'
import { whenParentEnds } from '../kernel/parent.ts'
import { runApiVerb } from './api-verb.ts'
import { readArguments, type CommonOptions } from './arguments.ts'
import { ApiProblem, Unreachable } from './client.ts'
import { completionOf } from './completion.ts'
import { connect, type Connection } from './connection.ts'
import { exportLines } from './export.ts'
import { follow } from './follow.ts'
import { helpOf, overview } from './help.ts'
import { logIn, logOut } from './login.ts'
import { type MigrateFromOptions, readMigrateFrom } from './migrate-from.ts'
import { formatProblem } from './problem.ts'
import { createReporter } from './reporter.ts'
import type { SimulateDeps } from './simulate.ts'
import { formatStatus, readStatus } from './status.ts'
import { suggestion } from './suggest.ts'
import { visibleLines, type Output } from './terminal.ts'
import { UsageError, type Input, type Verb } from './verb.ts'
import {
  completion,
  exportAudit,
  followEvents,
  login,
  logout,
  migrate,
  migrateFrom,
  serve,
  simulate,
  status as statusVerb,
  VERBS,
} from './verbs/index.ts'

/** Exit codes of every verb. */
const EXIT = { ok: 0, failed: 1, usage: 2, waits: 3 } as const

/** What the command line needs from around it. */
export interface CliDeps {
  /** Runs the server until it is told to stop; gives the exit code. */
  serve: () => Promise<number>
  /** Brings the database up to date; gives the exit code. */
  migrate: () => Promise<number>
  /** Moves in what another server has; gives the exit code. */
  migrateFrom: (options: MigrateFromOptions & { json: boolean }) => Promise<number>
  /** Runs fake devices; the shipped simulation by default. */
  simulate?: (deps: SimulateDeps) => Promise<number>
  stdout: Output
  stderr: Output
  /** Of the program, for `--version`. */
  version?: string
  /** Ends what runs until stopped (`simulate`, `events follow`); by default SIGINT, SIGTERM, and the end of the npm that started it. */
  signal?: AbortSignal
  env?: Env['values']
  /** The home folder, in which logins are kept. */
  home?: string
  now?: () => Date
}

/**
 * Runs one command line (without the program's own name) and gives the exit code: 0 ok, 1 failed, 2 wrong usage, 3 waits for an approval.
 * It never throws for what a user or a server does.
 */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  try {
    return await dispatch(argv, deps)
  } catch (error) {
    const complain = (text: string) => void deps.stderr.write(visibleLines(text))
    if (error instanceof UsageError) {
      const hint = error.verb === undefined ? '--help' : `${error.verb.words.join(' ')} --help`
      complain(`${error.message}\nSee: firstboot ${hint}\n`)
      return EXIT.usage
    }
    if (error instanceof ApiProblem) complain(formatProblem(error.problem, findVerb(argv)))
    else if (error instanceof Unreachable) complain(`${error.message}\n`)
    else throw error
    return EXIT.failed
  }
}

async function dispatch(argv: readonly string[], deps: CliDeps): Promise<number> {
  if (argv[0] === '--version') {
    deps.stdout.write(`firstboot ${deps.version ?? ''}\n`)
    return EXIT.ok
  }
  const { verb, rest } = readVerb(argv)
  if (verb === undefined) return showOverview(argv, deps)
  const now = deps.now ?? (() => new Date())
  const { common, input } = await readArguments(verb, rest, now())
  if (common.help) {
    deps.stdout.write(helpOf(verb))
    return EXIT.ok
  }
  if (verb === serve) return deps.serve()
  if (verb === migrate) return deps.migrate()
  if (verb === migrateFrom)
    return deps.migrateFrom({ ...readMigrateFrom(input.verb), json: common.output === 'json' })
  if (verb === completion) {
    deps.stdout.write(completionOf(String(input.verb['shell']), VERBS, verb))
    return EXIT.ok
  }
  const home = deps.home ?? homedir()
  if (verb === logout) {
    deps.stderr.write(visibleLines(await logOut(String(input.verb['name']), home)))
    return EXIT.ok
  }
  const connection = await connect(common, deps.env ?? readEnv().values, home)
  if (verb === login) {
    const told = await logIn({ connection, common, name: String(input.verb['name']), verb }, home)
    deps.stderr.write(visibleLines(told))
    return EXIT.ok
  }
  if (verb === simulate) {
    const { readSimulateOptions, simulate: runSimulation } = await import('./simulate.ts')
    const options = readSimulateOptions(input.verb)
    const run = deps.simulate ?? runSimulation
    return run({
      ...connection,
      options,
      write: (text) => void deps.stdout.write(text),
      signal: signalOf(deps),
    })
  }
  if (verb === statusVerb) {
    const report = await readStatus(connection.api, now())
    const { columns } = deps.stdout
    deps.stdout.write(
      common.output === 'json'
        ? `${visibleLines(JSON.stringify(report, null, 2))}\n`
        : formatStatus(report, connection.url, columns),
    )
    return EXIT.ok
  }
  if (verb === followEvents) return followUntilStopped(connection, input, common, deps)
  if (verb === exportAudit) {
    await exportLines(connection.api, '/audit', input.query, (text) => void deps.stdout.write(text))
    return EXIT.ok
  }
  const { columns } = deps.stdout
  const signal = () => signalOf(deps)
  const reporter = createReporter(deps.stderr)
  const said = await runApiVerb(verb, input, common, { api: connection.api, columns, signal, reporter })
  const { text, note, outcome } = said
  if (text !== '') deps.stdout.write(text)
  if (note !== undefined) deps.stderr.write(visibleLines(note))
  return EXIT[outcome]
}

async function followUntilStopped(
  { api }: Connection,
  { query }: Input,
  { output }: CommonOptions,
  deps: CliDeps,
): Promise<number> {
  await follow({
    api,
    query,
    output,
    columns: deps.stdout.columns,
    signal: signalOf(deps),
    write: (text) => void deps.stdout.write(text),
    warn: (text) => void deps.stderr.write(text),
  })
  return EXIT.ok
}

function signalOf({ signal }: CliDeps): AbortSignal {
  if (signal !== undefined) return signal
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  if (isStartedByNpm()) whenParentEnds(() => stop.abort())
  return stop.signal
}

/** The verb that a command line begins with, and what follows it. `events --follow` is `events follow` in other words. */
function readVerb(argv: readonly string[]): { verb: Verb | undefined; rest: readonly string[] } {
  if (argv[0] === 'events' && argv.includes('--follow')) {
    const rest = argv.slice(argv[1] === 'list' ? 2 : 1).filter((arg) => arg !== '--follow')
    return { verb: followEvents, rest }
  }
  const verb = findVerb(argv)
  return { verb, rest: argv.slice(verb?.words.length ?? 0) }
}

function findVerb(argv: readonly string[]): Verb | undefined {
  return VERBS.find(({ words }) => words.every((word, index) => argv[index] === word))
}

/** No verb was found: the help that was asked for, or what is wrong. */
function showOverview(argv: readonly string[], deps: CliDeps): number {
  const asked = argv[0] === 'help' ? argv.slice(1) : argv
  const words = asked.filter((word) => !word.startsWith('-'))
  const wantsHelp = argv[0] === 'help' || asked.includes('--help') || asked.includes('-h')
  const [first, second] = words
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
  if (group.length === 0) {
    const all = [...new Set(VERBS.map((verb) => verb.words[0]))]
    throw new UsageError(`${JSON.stringify(first)} is no verb${suggestion(first, all)}`)
  }
  const next = group.flatMap((verb) => verb.words[1] ?? [])
  const meant = second === undefined ? '' : suggestion(second, next)
  throw new UsageError(`${first} needs one of: ${next.join(', ')}${meant}`)
}
