import { openAsBlob } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { parseRecord } from '../kernel/records.ts'
import { suggestion } from './suggest.ts'
import { UsageError, type Input, type Verb, type VerbArgument, type VerbOption } from './verb.ts'

/** Options that every verb has. */
export type CommonOptions = ReturnType<typeof readCommon>

type Given = Record<string, string | boolean | (string | boolean)[] | undefined>

const DEFAULT_WAIT = '10m'
const SPAN = /^(\d{1,6})([smhd])$/
const SPAN_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads what follows the verb's words. Throws UsageError with what is wrong. */
export async function readArguments(
  verb: Verb,
  args: readonly string[],
  now: Date,
): Promise<{ common: CommonOptions; input: Input }> {
  const { values, positionals } = parse(verb, args)
  const common = readCommon(values, verb)
  const input: Input = { path: {}, query: {}, body: {}, verb: {} }
  if (common.help) return { common, input }
  readPositionals(verb, positionals, input)
  for (const [name, option] of Object.entries(verb.options ?? {})) {
    const given = values[name]
    if (given === undefined) {
      if (option.required === true) {
        const allowed = option.choices === undefined ? '' : `: one of ${option.choices.join(', ')}`
        throw new UsageError(`--${name} is missing${allowed}`, verb)
      }
      continue
    }
    const texts = Array.isArray(given) ? given : [given]
    const converted = await Promise.all(texts.map((text) => convert(name, option, text, now, verb)))
    const field = option.field ?? name.replaceAll('-', '_')
    const value = option.multiple === true ? converted : converted[0]
    if (option.to === 'query') input.query[field] = String(value)
    else input[option.to][field] = value
  }
  return { common, input }
}

function parse(verb: Verb, args: readonly string[]): { values: Given; positionals: string[] } {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const own = Object.entries(verb.options ?? {}).map(([name, option]) => [
    name,
    { ...(option.kind === 'flag' ? flag : text), multiple: option.multiple ?? false },
  ])
  const options = {
    ...(Object.fromEntries(own) as object),
    help: { ...flag, short: 'h' },
    output: text,
    url: text,
    login: text,
    token: text,
    'token-file': text,
    ...(verb.call?.paged === undefined ? {} : { limit: text }),
    ...(verb.progress === undefined ? {} : { wait: text }),
    ...(verb.isFile === true || verb.fileIn !== undefined ? { to: text } : {}),
  }
  const given = verb.progress === undefined ? [...args] : withSpan(args)
  try {
    return parseArgs({ args: given, options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(explain(error, given, Object.keys(options)), verb)
  }
}

/** `--wait` may stand alone. */
function withSpan(args: readonly string[]): string[] {
  return args.flatMap((arg, index) =>
    arg === '--wait' && !SPAN.test(args[index + 1] ?? '') ? [`--wait=${DEFAULT_WAIT}`] : [arg],
  )
}

function explain(error: unknown, args: readonly string[], names: readonly string[]): string {
  if (!(error instanceof Error)) return String(error)
  if (!('code' in error) || error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return error.message
  const given = args
    .map((arg) => arg.split('=')[0] ?? '')
    .find((arg) => arg.startsWith('-') && !names.includes(arg.slice(2)) && arg !== '-h' && arg !== '--')
  if (given === undefined) return error.message
  return `there is no option ${given}${suggestion(
    given,
    names.map((name) => `--${name}`),
  )}`
}

function readCommon(values: Given, verb: Verb) {
  const text = (name: string) => (typeof values[name] === 'string' ? values[name] : undefined)
  const output = (['json', 'table'] as const).find((each) => each === (text('output') ?? 'table'))
  if (output === undefined) throw new UsageError('--output is json or table', verb)
  return {
    help: values['help'] === true,
    /** How many items of a list are read; undefined = all. */
    limit: readLimit(text('limit'), verb),
    /** How long to wait for what was started, in milliseconds; undefined = not at all. */
    waitMs: readWait(text('wait'), verb),
    output,
    /** Where an answer that is a file is kept; undefined = it is printed. */
    to: text('to'),
    url: text('url'),
    /** The name of a server that somebody has logged in to. */
    login: text('login'),
    token: text('token'),
    tokenFile: text('token-file'),
  }
}

function readLimit(given: string | undefined, verb: Verb): number | undefined {
  if (given === undefined) return undefined
  const limit = integer(given)
  if (limit === undefined || limit < 1)
    throw new UsageError(`--limit: ${JSON.stringify(given)} is not a whole number from 1 on`, verb)
  return limit
}

function readWait(given: string | undefined, verb: Verb): number | undefined {
  if (given === undefined) return undefined
  return (
    span(given) ??
    fail(new UsageError(`--wait: ${JSON.stringify(given)} is not a span such as 90s or 30m`, verb))
  )
}

function readPositionals(verb: Verb, given: readonly string[], input: Input): void {
  const wanted = verb.arguments ?? []
  const last = wanted.at(-1)
  if (given.length > wanted.length && last?.multiple !== true) {
    throw new UsageError(`${given[wanted.length] ?? ''} is one argument too many`, verb)
  }
  wanted.forEach((argument: VerbArgument, index) => {
    const value = argument.multiple === true ? given.slice(index) : given[index]
    if (value === undefined || value.length === 0) throw new UsageError(`<${argument.name}> is missing`, verb)
    const field = argument.field ?? argument.name
    if (argument.to === 'path') input.path[field] = String(value)
    else input[argument.to][field] = value
  })
}

async function convert(
  name: string,
  option: VerbOption,
  given: string | boolean,
  now: Date,
  verb: Verb,
): Promise<unknown> {
  if (typeof given === 'boolean') return given
  const wrong = (what: string) => new UsageError(`--${name}: ${JSON.stringify(given)} is not ${what}`, verb)
  if (option.choices !== undefined && !option.choices.includes(given)) {
    throw wrong(`one of ${option.choices.join(', ')}`)
  }
  switch (option.kind) {
    case 'integer_or_none':
    case 'text_or_none':
      if (given === 'none') return null
      return option.kind === 'text_or_none'
        ? given
        : (integer(given) ?? fail(wrong('a whole number or none')))
    case 'integer':
      return integer(given) ?? fail(wrong('a whole number'))
    case 'number':
      return given.trim() !== '' && Number.isFinite(Number(given)) ? Number(given) : fail(wrong('a number'))
    case 'boolean':
      return given === 'true' || given === 'false' ? given === 'true' : fail(wrong('true or false'))
    case 'time':
      return time(given, now) ?? fail(wrong('a time (2026-05-01T08:00:00Z, or 90m, 12h, 7d from now)'))
    case 'past_time':
      return time(given, now, -1) ?? fail(wrong('a time (2026-05-01T08:00:00Z, or 90m, 12h, 7d ago)'))
    case 'json':
      return parseRecord(given) ?? fail(wrong('a JSON object'))
    case 'document': {
      if (given.trimStart().startsWith('{')) return parseRecord(given) ?? fail(wrong('a JSON object'))
      const content = (await readInputFile(given, name, verb)).toString()
      return parseRecord(content) ?? fail(new UsageError(`--${name}: ${given} holds no JSON object`, verb))
    }
    case 'base64_file':
      return (await readInputFile(given, name, verb)).toString('base64')
    case 'text_file':
      return (await readInputFile(given, name, verb)).toString().replace(/\r?\n$/, '')
    case 'text':
    case 'flag':
      return given
  }
}

/** The content of a file that an option or argument names (`-`: what comes in); a UsageError when it cannot be read. */
export async function readInputFile(path: string, name: string, verb?: Verb): Promise<Buffer> {
  try {
    return path === '-' ? await buffer(process.stdin) : await readFile(path)
  } catch (error) {
    throw unreadable(error, name, verb)
  }
}

/** A file that is read while it is sent; a UsageError when it is none. */
export async function openInputFile(path: string, name: string, verb?: Verb): Promise<Blob> {
  try {
    if (!(await stat(path)).isFile()) throw new Error(`${path} is no file`)
    return await openAsBlob(path)
  } catch (error) {
    throw unreadable(error, name, verb)
  }
}

function unreadable(error: unknown, name: string, verb: Verb | undefined): UsageError {
  return new UsageError(`${name}: ${error instanceof Error ? error.message : String(error)}`, verb)
}

function integer(text: string): number | undefined {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Milliseconds of a span such as `90s`. */
function span(text: string): number | undefined {
  const [, count, unit] = SPAN.exec(text) ?? []
  return count === undefined || unit === undefined ? undefined : Number(count) * (SPAN_MS[unit] ?? 0)
}

function time(text: string, now: Date, sign = 1): string | undefined {
  const ms = span(text)
  if (ms !== undefined) return new Date(now.getTime() + sign * ms).toISOString()
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)
  return isTime && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : undefined
}

function fail(error: UsageError): never {
  throw error
}
