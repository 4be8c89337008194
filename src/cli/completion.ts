import { UsageError, type Verb, type VerbOption } from './verb.ts'

const COMMON = ['--url', '--login', '--token', '--token-file', '--output', '--help']

/** A place of the command line, and what may follow there: after these words, these. */
interface Place {
  words: readonly string[]
  next: readonly string[]
}

/** Options of a verb that take one of some words. */
interface Choice {
  option: string
  words: readonly string[]
}

/** The script with which a shell completes command lines, made from the table of verbs. Throws UsageError for another shell. */
export function completionOf(shell: string, verbs: readonly Verb[], own: Verb): string {
  const places = placesOf(verbs)
  const choices = choicesOf(verbs)
  switch (shell) {
    case 'bash':
      return bash(places, choices)
    case 'zsh':
      return zsh(places, choices)
    case 'fish':
      return fish(verbs)
    default:
      throw new UsageError(`${JSON.stringify(shell)} is not bash, zsh or fish`, own)
  }
}

function placesOf(verbs: readonly Verb[]): Place[] {
  const first = [...new Set(verbs.map(({ words }) => words[0]))]
  const nouns = first.flatMap((noun) => {
    const next = verbs.flatMap(({ words }) => (words[0] === noun ? (words[1] ?? []) : []))
    return next.length === 0 ? [] : [{ words: [noun], next }]
  })
  const ends = verbs.map((verb) => ({ words: verb.words, next: optionsOf(verb) }))
  return [{ words: [], next: [...first, 'help', '--help', '--version'] }, ...nouns, ...ends]
}

function optionsOf(verb: Verb): string[] {
  return [...Object.keys(verb.options ?? {}).map((name) => `--${name}`), ...furtherOptions(verb), ...COMMON]
}

/** What a verb takes because of what it is. */
function furtherOptions(verb: Verb): string[] {
  return [
    ...(verb.call?.paged === undefined ? [] : ['--limit']),
    ...(verb.isFile === true ? ['--to'] : []),
    ...(verb.progress === undefined ? [] : ['--wait']),
  ]
}

/** An option of the same name has the same words wherever it has any, or all of them are offered. */
function choicesOf(verbs: readonly Verb[]): Choice[] {
  const found = new Map<string, Set<string>>([['--output', new Set(['json', 'table'])]])
  for (const { options = {} } of verbs)
    for (const [name, { choices }] of Object.entries<VerbOption>(options))
      for (const word of choices ?? [])
        found.set(`--${name}`, (found.get(`--${name}`) ?? new Set()).add(word))
  return [...found].map(([option, words]) => ({ option, words: [...words] }))
}

function bash(places: readonly Place[], choices: readonly Choice[]): string {
  const cases = places.map(({ words, next }) => `    '${words.join(' ')}') next='${next.join(' ')}' ;;`)
  const values = choices.map(({ option, words }) => `    ${option}) next='${words.join(' ')}' ;;`)
  return `_firstboot() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="" key="" next="" word
  local -a given=()
  if (( COMP_CWORD > 0 )); then previous="\${COMP_WORDS[COMP_CWORD-1]}"; fi
  case "$previous" in
${values.join('\n')}
  esac
  if [[ -z "$next" ]]; then
    for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
      if [[ "$word" != -* ]]; then given+=("$word"); fi
    done
    for key in "\${given[*]:0:2}" "\${given[*]:0:1}"; do
      case "$key" in
${cases.map((line) => `  ${line}`).join('\n')}
      esac
      if [[ -n "$next" ]]; then break; fi
    done
  fi
  COMPREPLY=( $(compgen -W "$next" -- "$current") )
}
complete -o default -F _firstboot firstboot
`
}

function zsh(places: readonly Place[], choices: readonly Choice[]): string {
  const cases = places.map(({ words, next }) => `      '${words.join(' ')}') next=(${next.join(' ')}) ;;`)
  const values = choices.map(({ option, words }) => `    ${option}) next=(${words.join(' ')}) ;;`)
  return `#compdef firstboot
_firstboot() {
  local -a given next
  local word key
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ "$word" != -* ]]; then given+=("$word"); fi
  done
  case "\${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  if (( \${#next} == 0 )); then
    for key in "\${(j: :)given[1,2]}" "\${given[1]}"; do
      case "$key" in
${cases.join('\n')}
      esac
      if (( \${#next} > 0 )); then break; fi
    done
  fi
  if (( \${#next} > 0 )); then compadd -a next; else _files; fi
}
if [[ "\${funcstack[1]}" == _firstboot ]]; then _firstboot "$@"; else compdef _firstboot firstboot; fi
`
}

function fish(verbs: readonly Verb[]): string {
  const lines = verbs.flatMap((verb) => {
    const [noun, act] = verb.words
    const at = act === undefined ? `__fish_seen_subcommand_from ${noun}` : `__firstboot_at ${noun} ${act}`
    const verbLine =
      act === undefined
        ? `complete -c firstboot -f -n __fish_use_subcommand -a ${noun} -d ${quoted(verb.summary)}`
        : `complete -c firstboot -f -n '__firstboot_needs ${noun}' -a ${act} -d ${quoted(verb.summary)}`
    const options = Object.entries<VerbOption>(verb.options ?? {}).map(
      ([name, { kind, summary, choices }]) => {
        const value =
          kind === 'flag' ? '' : choices === undefined ? ' -r' : ` -x -a ${quoted(choices.join(' '))}`
        return `complete -c firstboot -n '${at}' -l ${name}${value} -d ${quoted(summary)}`
      },
    )
    const further = furtherOptions(verb).map(
      (option) => `complete -c firstboot -n '${at}' -l ${option.slice(2)}`,
    )
    return [verbLine, ...options, ...further]
  })
  const nouns = [...new Set(verbs.flatMap(({ words }) => (words[1] === undefined ? [] : [words[0]])))]
  return `function __firstboot_words
  string match -v -- '-*' (commandline -opc)[2..-1]
end
function __firstboot_needs
  set -l words (__firstboot_words)
  test (count $words) -eq 1; and test "$words[1]" = "$argv[1]"
end
function __firstboot_at
  set -l words (__firstboot_words)
  test (count $words) -ge 2; and test "$words[1] $words[2]" = "$argv[1] $argv[2]"
end
complete -c firstboot -f -n __fish_use_subcommand -a '${nouns.join(' ')}'
complete -c firstboot -l output -x -a 'json table' -d 'how answers are printed'
complete -c firstboot -l url -r -d 'the server'
complete -c firstboot -l login -r -d 'a server that you have logged in to'
complete -c firstboot -l token -r -d 'API token'
complete -c firstboot -l token-file -r -F -d 'holds the API token'
complete -c firstboot -s h -l help -d 'show the help'
${lines.join('\n')}
`
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`
}
