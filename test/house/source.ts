import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** One module of the repository, with what the house rules ask about it. */
export type Source = {
  /** From the root of the repository, with slashes. */
  readonly file: string
  readonly lines: number
  /** The text without its comments. */
  readonly code: string
  /** Every specifier that is imported or exported from. */
  readonly imports: readonly string[]
  /** Every name that is exported; `from` = the specifier it is handed on from. */
  readonly exports: readonly { name: string; from: string | null }[]
  /** Every name that is imported, and from which specifier; of a namespace the members that are spoken of. */
  readonly names: readonly { name: string; from: string }[]
}

const ROOT = path.resolve(import.meta.dirname, '../..')

/** What is imported of a module that is handed on as a whole. */
export const ALL = '*'

/** All modules below the given folders of the repository. */
export function readSources(...folders: string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => path.posix.join(folder, name.split(path.sep).join('/')))
      .map((file) => scan(file, readFileSync(path.join(ROOT, file), 'utf8'))),
  )
}

/** Reads one module. */
export function scan(file: string, text: string): Source {
  const code = withoutComments(text)
  return {
    file,
    lines: text.trimEnd().split('\n').length,
    code,
    imports: importsIn(code),
    exports: exportsIn(code),
    names: namesIn(code),
  }
}

/** A comment, or what may hold the signs of one: a string, a template, a regular expression after an operator. */
const TOKEN = new RegExp(
  [
    String.raw`(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)`,
    String.raw`'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"`,
    '`(?:\\\\[\\s\\S]|[^`\\\\])*`',
    String.raw`(?<=[(,=:[!&|?{};+\n]\s*|return )\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/`,
  ].join('|'),
  'g',
)

function withoutComments(text: string): string {
  return text.replaceAll(TOKEN, (token, comment: string | undefined) => (comment === undefined ? token : ' '))
}

const STATIC_IMPORT = /^(?:import|export)\s(?:[^'"`;=()]*?\sfrom\s)?\s*'([^']+)'/gm
const DYNAMIC_IMPORT = /\bimport\(\s*'([^']+)'/g

function importsIn(code: string): string[] {
  const found = [STATIC_IMPORT, DYNAMIC_IMPORT].flatMap((pattern) => [...code.matchAll(pattern)])
  return found.map(([, specifier = '']) => specifier)
}

const DECLARATION =
  /^export (?:declare )?(?:async )?(?:abstract )?(?:function\*?|const|let|class|type|interface) ([\w$]+)/gm
const EXPORT_LIST = /^export (?:type )?\{([^}]*)\}(?: from '([^']+)')?/gm

function exportsIn(code: string): { name: string; from: string | null }[] {
  const declared = [...code.matchAll(DECLARATION)].map(([, name = '']) => ({ name, from: null }))
  const listed = [...code.matchAll(EXPORT_LIST)].flatMap(([, list = '', from = null]) =>
    list
      .split(',')
      .map((item) => item.trim().replace(/^type /, ''))
      .filter((item) => item !== '')
      .map((item) => ({ name: item.split(' as ').at(-1) ?? item, from })),
  )
  return [...declared, ...listed]
}

const NAMED_IMPORT = /^import (?:type )?(?:\w+,\s*)?\{([^}]*)\}\s*from\s*'([^']+)'/gm
const NAMESPACE = /^import (?:type )?\* as (\w+) from\s*'([^']+)'/gm
const DYNAMIC_NAMES = /\{([^{}=]*)\}\s*=\s*await import\(\s*'([^']+)'/g
const DYNAMIC_MEMBER = /import\(\s*'([^']+)'\s*\)\)?\s*\.(?:then\(\(\{ (\w+)|(\w+))/g

function namesIn(code: string): { name: string; from: string }[] {
  const named = [NAMED_IMPORT, DYNAMIC_NAMES].flatMap((pattern) =>
    [...code.matchAll(pattern)].flatMap(([, list = '', from = '']) =>
      list
        .split(',')
        .map((item) => /^(?:type )?([\w$]+)/.exec(item.trim())?.[1] ?? '')
        .filter((name) => name !== '')
        .map((name) => ({ name, from })),
    ),
  )
  const spaces = [...code.matchAll(NAMESPACE)].flatMap(([statement, space = '', from = '']) => {
    const rest = code.replace(statement, '')
    const spoken = [...rest.matchAll(new RegExp(String.raw`\b${space}\b(?:\s*\.\s*(\w+))?`, 'g'))]
    return spoken.map(([, name = ALL]) => ({ name, from }))
  })
  const members = [...code.matchAll(DYNAMIC_MEMBER)].map(([, from = '', first, second]) => ({
    name: first ?? second ?? '',
    from,
  }))
  return [...named, ...spaces, ...members]
}
