import type { ApiCall, ApiClient } from './client.ts'

/** How the text of an option becomes a value. */
type OptionKind =
  | 'text'
  | 'integer'
  /** A whole number, or `none` for null. */
  | 'integer_or_none'
  /** A text, or `none` for null. */
  | 'text_or_none'
  | 'number'
  /** Given or not. */
  | 'flag'
  /** `true` or `false`. */
  | 'boolean'
  /** RFC 3339, or a span from now such as `90m`, `12h`, `7d`. */
  | 'time'
  /** The same, a span being before now. */
  | 'past_time'
  | 'json'
  /** A JSON object, or a file that holds one. */
  | 'document'
  /** A file whose content is sent as base64. */
  | 'base64_file'
  /** A file that holds one line of text, such as a password. */
  | 'text_file'

/** What an argument or option names; it may be given by its id, the beginning of that, or what people call it. */
export type Thing =
  | 'device'
  | 'serial number'
  | 'user'
  | 'attempt'
  | 'command'
  | 'policy'
  | 'group'
  | 'approval'
  | 'ADE server'
  | 'link'
  | 'API token'
  | 'sign-in source'
  | 'topic'
  | 'push certificate request'
  | 'profile'
  | 'app'
  | 'rollout'
  | 'webhook'

/** An option of a verb. */
export interface VerbOption {
  kind: OptionKind
  summary: string
  /** What stands for its value in the help (default: its choices, what its kind says, or the name in capitals). */
  value?: string
  /** Where it goes: a query parameter, a member of the body, or only to the verb's own code. */
  to: 'query' | 'body' | 'verb'
  /** Its name there (default: the option's, in snake_case). */
  field?: string
  /** It may be given several times and becomes an array. */
  multiple?: boolean
  required?: boolean
  choices?: readonly string[]
  of?: Thing
}

const optionTo =
  (to: VerbOption['to']) =>
  (kind: OptionKind, summary: string, more: Partial<VerbOption> = {}): VerbOption => ({
    kind,
    summary,
    to,
    ...more,
  })
/** An option that becomes a member of the body. */
export const inBody = optionTo('body')
/** An option that becomes a parameter of the query. */
export const inQuery = optionTo('query')
/** An option for the verb's own code. */
export const forVerb = optionTo('verb')

/** The option of lists that can be searched. */
export const searchOption = {
  search: inQuery('text', 'only those of which an id, a name or a serial number begins so', {
    value: 'TEXT',
  }),
}

/** The options of lists of what has a time, such as "begun". */
export function timeOptions(what: string) {
  return {
    since: inQuery('past_time', `only those ${what} at this time or later; 12h or 7d is that long ago`),
    until: inQuery('past_time', `only those ${what} before this time`),
  }
}

/** A positional argument: a placeholder of the path, a member of the body, or the verb's own. */
export interface VerbArgument {
  name: string
  summary: string
  to: 'path' | 'body' | 'verb'
  field?: string
  /** The last one may stand for several. */
  multiple?: boolean
  of?: Thing
}

/** An argument in the path that names a thing. */
export function inPath(of: Thing, summary: string, name = 'id'): VerbArgument {
  return { name, summary, to: 'path', of }
}

/** The columns of a table: the member that each heading shows (dots for nested ones). */
export type Columns = Readonly<Record<string, string>>

/** What the command line said, checked and converted; `verb` holds what goes to the verb's own code. */
export interface Input {
  path: Record<string, string>
  query: Record<string, string>
  body: Record<string, unknown>
  verb: Record<string, unknown>
}

/** A verb of the command line, as data. */
export interface Verb {
  words: readonly [string, ...string[]]
  summary: string
  arguments?: readonly VerbArgument[]
  options?: Readonly<Record<string, VerbOption>>
  /** The call that it makes; placeholders in braces. Missing: the program itself does it. */
  call?: { method: ApiCall['method']; path: string; paged?: 'cursor' | 'after' }
  columns?: Columns
  /** Printed when there is no answer to show. */
  done?: string
  /** The answer is one thing, although it has `items`. */
  isRecord?: boolean
  /** How the answer is told to people, where that is neither a table nor a record. */
  show?: (answer: unknown) => { text: string; note?: string }
  /** The answer is a file; `--to FILE` says where it is kept. */
  isFile?: boolean
  /** The members of the answer that are the text of a file, the best first; `--to FILE` keeps the first that is there. */
  fileIn?: readonly string[]
  /** Changes the call where data alone does not say it. */
  prepare?: (call: ApiCall, input: Input, verb: Verb) => Promise<ApiCall>
  /** Whether part of what was asked for was refused, although the call as a whole was not. */
  isPartial?: (answer: unknown) => boolean
  /** How far what the verb started has come; a verb that has this takes `--wait`. */
  progress?: (
    started: { input: Input; answer: unknown },
    api: ApiClient,
  ) => Promise<{ outcome: 'running' | 'ok' | 'failed'; answer: unknown }>
}

/** A verb that makes one call: of `devices get`, say, `GET /devices/{id}`. */
export function callVerb(
  words: `${string} ${string}`,
  summary: string,
  call: `${ApiCall['method']} /${string}`,
  more: Partial<Verb> = {},
): Verb {
  const [noun, act] = words.split(' ') as [string, string]
  const [method, path] = call.split(' ') as [ApiCall['method'], string]
  return { words: [noun, act], summary, call: { method, path }, ...more }
}

/** A verb that lists what is at a path, page by page. */
export function listVerb(
  words: `${string} ${string}`,
  summary: string,
  path: `/${string}`,
  columns: Columns,
  more: Partial<Verb> = {},
): Verb {
  const call = { method: 'GET', path, paged: 'cursor' } as const
  return { ...callVerb(words, summary, `GET ${path}`, more), call, columns }
}

/** What is wrong with a command line; ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly verb: Verb | undefined

  constructor(message: string, verb?: Verb) {
    super(message)
    this.verb = verb
  }
}
