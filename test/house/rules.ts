import { existsSync } from 'node:fs'
import { builtinModules, isBuiltin } from 'node:module'
import path from 'node:path'
import { ALL, type Source } from './source.ts'

// The rules of the house, each a question to sources: what is against it? Every one is put to the repository
// (architecture.test.ts), and to planted sources that break it (rules.test.ts).

/** One file that names another one. */
export type Import = { file: string; target: string }

const isRelative = (specifier: string) => specifier.startsWith('.')
const isRoot = (file: string) => /^src\/[^/]+$/.test(file)
const filesOf = (sources: readonly Source[]) => sources.map(({ file }) => file)

/** `features/<name>`, the folder below src/, or the folder at the top. */
function unitOf(file: string): string {
  const parts = file.split('/')
  if (parts[0] !== 'src') return parts[0] ?? ''
  return parts[1] === 'features' ? `features/${parts[2]}` : (parts[1] ?? '')
}

const targetOf = (source: Source, specifier: string) =>
  path.posix.join(path.posix.dirname(source.file), specifier)

const libraryOf = (specifier: string) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')

/** What sources import of each other. */
export function importsAmong(sources: readonly Source[]): Import[] {
  return sources.flatMap((source) =>
    source.imports
      .filter(isRelative)
      .map((specifier) => ({ file: source.file, target: targetOf(source, specifier) })),
  )
}

/** The libraries that sources import, Node's own too. */
export function librariesOf(sources: readonly Source[]): { file: string; specifier: string; name: string }[] {
  return sources.flatMap(({ file, imports }) =>
    imports
      .filter((specifier) => !isRelative(specifier))
      .map((specifier) => ({ file, specifier, name: libraryOf(specifier) })),
  )
}

/** Imports of a unit that the table does not give it; files at the top of src may import all. */
export function notGranted(imports: readonly Import[], table: Record<string, readonly string[]>): Import[] {
  return imports.filter(({ file, target }) => {
    if (isRoot(file) || unitOf(file) === unitOf(target)) return false
    return !(table[unitOf(file)] ?? []).includes(unitOf(target))
  })
}

/** Files of units that the table does not know. */
export function notInTable(sources: readonly Source[], table: Record<string, unknown>): string[] {
  return filesOf(sources).filter((file) => !isRoot(file) && !(unitOf(file) in table))
}

/** Imports of a slice from outside that do not go through its door. */
export function besideTheDoor(imports: readonly Import[]): Import[] {
  return imports.filter(
    ({ file, target }) =>
      unitOf(file) !== unitOf(target) &&
      target.startsWith('src/features/') &&
      !/^src\/features\/[^/]+\/index\.ts$/.test(target),
  )
}

/** Names of a table that use one that does not come before them. */
export function outOfOrder(table: Record<string, readonly string[]>): string[] {
  const names = Object.keys(table)
  return names.filter((name, at) => table[name]?.some((use) => !names.slice(0, at).includes(use)))
}

/** What the table of slices grants and nobody makes use of. */
export function idleGrants(imports: readonly Import[], slices: Record<string, readonly string[]>): string[] {
  const made = new Set(imports.map(({ file, target }) => `${unitOf(file)} ${unitOf(target)}`))
  return Object.entries(slices).flatMap(([name, uses]) =>
    uses.filter((use) => !made.has(`features/${name} features/${use}`)).map((use) => `${name}: ${use}`),
  )
}

/** Imports of files that do not exist, or that are there for tests and measurements alone. */
export function importedInVain(imports: readonly Import[], all: readonly Source[]): Import[] {
  const files = new Set(filesOf(all))
  const isThere = (target: string) =>
    files.has(target) ||
    (target.endsWith('.json') && existsSync(path.resolve(import.meta.dirname, '../..', target)))
  return imports.filter(({ target }) => !isThere(target) || /^(test|bench)\//.test(target))
}

/** The files of one circle of imports, types included; empty when there is none. */
export function circleAmong(imports: readonly Import[]): string[] {
  const uses = Map.groupBy(imports, ({ file }) => file)
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    if (done.has(file)) return []
    for (const { target } of uses.get(file) ?? []) {
      const circle = visit(target, [...way, file])
      if (circle.length > 0) return circle
    }
    done.add(file)
    return []
  }
  return [...uses.keys()].map((file) => visit(file, [])).find((circle) => circle.length > 0) ?? []
}

/** Folders of one slice that use each other, through others of the slice too. */
export function knots(imports: readonly Import[]): string[] {
  const folderOf = (file: string) => /^src\/features\/([^/]+\/[^/]+)\//.exec(file)?.[1]
  const uses = new Map<string, Set<string>>()
  for (const { file, target } of imports) {
    const [from, to] = [folderOf(file), folderOf(target)]
    if (from === undefined || to === undefined || from === to) continue
    if (from.split('/')[0] === to.split('/')[0]) uses.set(from, (uses.get(from) ?? new Set()).add(to))
  }
  const reaches = (from: string, goal: string, seen = new Set<string>()): boolean =>
    [...(uses.get(from) ?? [])].some(
      (next) => next === goal || (!seen.has(next) && reaches(next, goal, seen.add(next))),
    )
  return [...uses.keys()].filter((folder) => reaches(folder, folder))
}

const SIMULATORS_DOOR = 'src/simulator/index.ts'
const isOfSimulator = (file: string) => file.startsWith('src/simulator/')
const folderInSimulator = (file: string) => path.posix.relative('src/simulator', path.posix.dirname(file))

/** Imports between folders of the simulator that the table does not give; what lies at its top is for all of them. */
export function againstOrder(imports: readonly Import[], table: Record<string, readonly string[]>): Import[] {
  return imports.filter(({ file, target }) => {
    const [from, to] = [folderInSimulator(file), folderInSimulator(target)]
    const isOpen = from === to || to === '' || file === SIMULATORS_DOOR
    return isOfSimulator(file) && isOfSimulator(target) && !isOpen && !table[from]?.includes(to)
  })
}

/** What the table of the simulator's folders gives and nobody makes use of. */
export function idleArrows(imports: readonly Import[], table: Record<string, readonly string[]>): string[] {
  const made = new Set(
    imports.map(({ file, target }) => `${folderInSimulator(file)} > ${folderInSimulator(target)}`),
  )
  return Object.entries(table).flatMap(([name, uses]) =>
    uses.map((use) => `${name} > ${use}`).filter((arrow) => !made.has(arrow)),
  )
}

/** The folders of the simulator. */
export function simulatorFolders(sources: readonly Source[]): string[] {
  const folders = new Set(filesOf(sources).filter(isOfSimulator).map(folderInSimulator))
  folders.delete('')
  return [...folders].toSorted()
}

/** Imports of the simulator by the rest of src, and by bench, that do not go through its door. */
export function besideTheSimulatorsDoor(imports: readonly Import[]): Import[] {
  return imports.filter(
    ({ file, target }) =>
      /^(src|bench)\//.test(file) &&
      !isOfSimulator(file) &&
      isOfSimulator(target) &&
      target !== SIMULATORS_DOOR,
  )
}

/** Libraries in files where they do not belong. */
export function misplacedLibraries(sources: readonly Source[], places: Record<string, RegExp>): string[] {
  return librariesOf(sources)
    .filter(
      ({ file, specifier, name }) => !isBuiltin(specifier) && !places[name]?.test(file) && !isRoot(file),
    )
    .map(({ file, specifier }) => `${file}: ${specifier}`)
}

/** Modules of Node that are not named with `node:`. */
export function bareBuiltins(sources: readonly Source[]): string[] {
  const builtins = new Set(builtinModules.filter((name) => !name.startsWith('node:')))
  return librariesOf(sources)
    .filter(({ name }) => builtins.has(name))
    .map(({ file, specifier }) => `${file}: ${specifier}`)
}

const QUERY = /\.(selectFrom|insertInto|updateTable|deleteFrom|mergeInto)\(|\bsql(<[^>]*>)?`/
const PREPARED = /\.\s*prepared\s*[<(]/

/** Files with queries that are no stores, and those with texts for prepared statements outside of db/. */
export function misplacedQueries(sources: readonly Source[], stores: RegExp): string[] {
  return filesOf(
    sources.filter(
      ({ file, code }) =>
        (!stores.test(file) && QUERY.test(code)) || (!file.startsWith('src/db/') && PREPARED.test(code)),
    ),
  )
}

/** By its name, as a member of brackets, taken out of `process`, or `process` under another name. */
const ENVIRONMENT = [
  /\bprocess\s*(?:\?\.|\.)\s*env\b/,
  /\bprocess\s*(?:\?\.)?\s*\[/,
  /\{[^{}]*\benv\b[^{}]*\}\s*=\s*(?:globalThis\s*\.\s*)?process\b/,
  /[\w)\]]\s*=\s*(?:globalThis\s*\.\s*)?process\b(?!\s*[.?[])/,
  /\bglobalThis\s*\[/,
  /'(?:node:)?process'/,
]

/** The files that read the environment, in whatever form. */
export function readersOfTheEnvironment(sources: readonly Source[]): string[] {
  return filesOf(sources.filter(({ code }) => ENVIRONMENT.some((form) => form.test(code))))
}

/** The tables of each slice, as src/db/tables declares them. */
export function tablesOf(sources: readonly Source[]): Map<string, string[]> {
  return new Map(
    sources
      .filter(({ file }) => /^src\/db\/tables\/(?!index\.ts)/.test(file))
      .map(({ file, code }) => {
        const body = /export interface \w+Tables \{([^}]*)\}/.exec(code)?.[1] ?? ''
        const names = [...body.matchAll(/^\s*(\w+):/gm)].map(([, name = '']) => name)
        return [path.posix.basename(file, '.ts'), names]
      }),
  )
}

const KYSELY_TABLES =
  /\.(?:selectFrom|insertInto|updateTable|deleteFrom|mergeInto|\w*[jJ]oin\w*|using|from|table)\(\s*(\[[^\]]*\]|'[^']*')/g
const SQL_TABLES =
  /\b(?:from|join|into|update|only|using|table)\s+((?:(?:only\s+)?"?\w+"?(?:\s+(?:as\s+)?\w+)?\s*,\s*)*(?:only\s+)?"?\w+)/gi

/** The tables that a file names: alone, in arrays, and in lists with commas. */
export function tablesNamed(code: string): string[] {
  const inKysely = [...code.matchAll(KYSELY_TABLES)].flatMap(([, named = '']) =>
    [...named.matchAll(/'(\w+)/g)].map(([, table = '']) => table),
  )
  const inSql = [...code.matchAll(SQL_TABLES)].flatMap(([, list = '']) =>
    list.split(',').map((each) => /(\w+)/.exec(each.trim().replace(/^only\s+/i, ''))?.[1] ?? ''),
  )
  return [...inKysely, ...inSql]
}

/** Tables that a store of a slice names though they are another's; `tables`: those of each slice. */
export function foreignTables(
  sources: readonly Source[],
  tables: ReadonlyMap<string, readonly string[]>,
): string[] {
  return sources
    .filter(({ file }) => /\/(\w+-)?store\.ts$/.test(file))
    .flatMap(({ file, code }) => {
      const own = file.split('/')[2] ?? ''
      const foreign = new Set([...tables].flatMap(([name, theirs]) => (name === own ? [] : theirs)))
      return tablesNamed(code)
        .filter((table) => foreign.has(table))
        .map((table) => `${file}: ${table}`)
    })
}

/** Names that a module exports and that no other one imports, handing on is no use; `users`: whose imports count. */
export function unusedExports(sources: readonly Source[], users: readonly Source[]): string[] {
  const used = new Set<string>()
  const handedOn = new Map<string, string[]>()
  for (const source of users) {
    for (const { name, from } of source.exports)
      if (from !== null) {
        const origin = `${targetOf(source, from)}: ${name}`
        handedOn.set(origin, [...(handedOn.get(origin) ?? []), `${source.file}: ${name}`])
      }
    for (const { name, from } of source.names)
      if (isRelative(from)) used.add(`${targetOf(source, from)}: ${name}`)
  }
  const isUsed = (key: string): boolean =>
    used.has(key) || used.has(`${key.split(': ')[0]}: ${ALL}`) || (handedOn.get(key) ?? []).some(isUsed)
  return sources
    .flatMap(({ file, exports }) => exports.map(({ name }) => `${file}: ${name}`))
    .filter((key) => !isUsed(key))
}

const LEFT_OUT = /\b(?:it|test|describe)\.(?:skip|only|to(?:do)|skipIf|runIf|fails)\b|\bx(?:it|describe)\(/

/** Files that leave tests out. */
export function leavingTestsOut(sources: readonly Source[]): string[] {
  return filesOf(sources.filter(({ code }) => LEFT_OUT.test(code)))
}

const PUT_OFF = /\b(?:TO(?:DO)|FIX(?:ME))\b/

/** Files that put something off. */
export function puttingOff(texts: readonly { file: string; text: string }[]): string[] {
  return texts.filter(({ text }) => PUT_OFF.test(text)).map(({ file }) => file)
}

/** Files of more lines than that. */
export function longerThan(sources: readonly Source[], most: number): string[] {
  return filesOf(sources.filter(({ lines }) => lines > most))
}
