import { examplesOf } from './examples.ts'
import type { Verb, VerbOption } from './verb.ts'

const COMMON: readonly (readonly [string, string])[] = [
  ['--url URL', 'the server (FIRSTBOOT_URL, else that of the last login, else http://127.0.0.1:8080)'],
  ['--login NAME', 'a server that you have logged in to (firstboot login)'],
  ['--token TOKEN', 'API token (FIRSTBOOT_TOKEN)'],
  ['--token-file FILE', 'holds the API token (default: admin-token in the data folder)'],
  ['--output json|table', 'how answers are printed (default table)'],
]
const HELP = ['-h, --help', 'show this'] as const
const VALUES: Partial<Record<VerbOption['kind'], string>> = {
  boolean: 'true|false',
  time: 'TIME',
  past_time: 'TIME',
  text_file: 'FILE',
  base64_file: 'FILE',
  document: 'JSON|FILE',
}
const VERSION = ['--version', 'show the version'] as const

/** The help of the whole program, or of the verbs that begin with these words. */
export function overview(verbs: readonly Verb[], words: readonly string[] = []): string {
  const lines = verbs.map((verb) => [usageOf(verb), verb.summary] as const)
  return [
    `Usage: firstboot ${[...words, '<verb>'].join(' ')} [arguments] [options]`,
    '',
    'Verbs:',
    ...aligned(lines),
    '',
    'Options of every verb that calls the server:',
    ...aligned([...COMMON, HELP, VERSION]),
    '',
    '`firstboot <verb> --help` tells more. Exit codes: 0 ok, 1 failed, 2 wrong usage.',
    '',
  ].join('\n')
}

/** The help of one verb. */
export function helpOf(verb: Verb): string {
  const options = Object.entries(verb.options ?? {}).map(([name, option]) => describe(name, option))
  const positionals = (verb.arguments ?? []).map(({ name, summary }) => [`<${name}>`, summary] as const)
  const program = verb.words[0] === 'serve' || verb.words[0] === 'migrate'
  const paging =
    verb.call?.paged === undefined ? [] : [['--limit N', 'only the first of them; all without it'] as const]
  const keeping =
    verb.isFile === true
      ? [['--to FILE', 'keep it there, instead of printing it'] as const]
      : verb.fileIn === undefined
        ? []
        : [['--to FILE', `keep ${verb.fileIn.join(' or ')} there`] as const]
  const waiting =
    verb.progress === undefined
      ? []
      : [['--wait [SPAN]', 'until it is done, or failed, at most 10m or such a span'] as const]
  return [
    `Usage: firstboot ${usageOf(verb)} [options]`,
    '',
    `${verb.summary}.`,
    ...(positionals.length > 0 ? ['', 'Arguments:', ...aligned(positionals)] : []),
    '',
    'Options:',
    ...aligned([...options, ...paging, ...keeping, ...waiting, ...(program ? [] : COMMON), HELP]),
    '',
    'Examples:',
    ...examplesOf(verb).map((line) => `  ${line}`),
    '',
  ].join('\n')
}

/** The words of a verb and what must follow. */
function usageOf(verb: Verb): string {
  const positionals = (verb.arguments ?? []).map(
    ({ name, multiple }) => `<${name}>${multiple === true ? '...' : ''}`,
  )
  const required = Object.entries(verb.options ?? {})
    .filter(([, option]) => option.required)
    .map(([name, option]) => describe(name, option)[0])
  return [...verb.words, ...positionals, ...required].join(' ')
}

function describe(name: string, option: VerbOption): readonly [string, string] {
  if (option.kind === 'flag') return [`--${name}`, option.summary]
  const standard = option.choices?.join('|') ?? VALUES[option.kind] ?? name.replaceAll('-', '_').toUpperCase()
  return [`--${name} ${option.value ?? standard}`, option.summary]
}

function aligned(lines: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(44, Math.max(...lines.map(([left]) => left.length)))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
