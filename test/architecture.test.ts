import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { FEATURES, SIMULATOR } from './house/layers.ts'
import { readSources, type Source } from './house/source.ts'

const feature = (name: string) => `features/${name}`

const MAY_IMPORT: Record<string, readonly string[]> = {
  kernel: [],
  config: ['kernel'],
  protocol: ['kernel'],
  db: ['kernel', 'config', 'migrations'],
  migrations: [],
  http: ['kernel', 'config', ...Object.keys(FEATURES).map(feature)],
  cli: ['kernel', 'config', 'simulator'],
  console: [],
  simulator: ['kernel', 'protocol'],
  ...Object.fromEntries(
    Object.entries(FEATURES).map(([name, uses]) => [
      feature(name),
      ['kernel', 'db', 'protocol', ...uses.map(feature)],
    ]),
  ),
}

const HTTP = /^src\/(http\/|kernel\/resource-api\.ts$|features\/[^/]+\/([^/]+\/)?((\w+-)?api|routes)\.ts$)/
const SCHEMA =
  /^src\/(http\/|kernel\/(paging|resource-api|schema)\.ts$|features\/(events\/catalogue(\/[^/]+)?|[^/]+\/([^/]+\/)?(\w+-)?(api|schema|view))\.ts$)/
const STORE = /^(src\/db\/|src\/features\/[^/]+\/([^/]+\/)?(\w+-)?store\.ts$|migrations\/)/
const PROTOCOL = /^src\/protocol\//
const DB = /^src\/db\//
const KERNEL = /^src\/kernel\//

/**
 * Which files of the product may name a library. One that is not here may not be used before it is decided where; pkijs,
 * asn1js and plist are none of these, but what the codecs are compared with in tests.
 */
const CONFINED: Record<string, RegExp> = {
  fastify: HTTP,
  '@fastify/formbody': HTTP,
  '@fastify/swagger': HTTP,
  '@fastify/swagger-ui': HTTP,
  '@fastify/type-provider-typebox': SCHEMA,
  typebox: SCHEMA,
  kysely: STORE,
  pg: DB,
  '@electric-sql/pglite': DB,
  'node-forge': PROTOCOL,
  'http2-wrapper': /^src\/protocol\/apns\//,
  'openid-client': /^src\/features\/signin\//,
  pino: KERNEL,
  'pino-pretty': KERNEL,
  'prom-client': KERNEL,
}

const MAX_LINES = 400

const product = readSources('src', 'migrations')
const all = [...product, ...readSources('test', 'bench')]
const byFile = new Map(all.map((source) => [source.file, source]))

const isRoot = (file: string) => /^src\/[^/]+$/.test(file)
const isRelative = (specifier: string) => specifier.startsWith('.')

/** `features/<name>`, the folder below src/, or the folder at the top. */
function unitOf(file: string): string {
  const parts = file.split('/')
  if (parts[0] !== 'src') return parts[0] ?? ''
  return parts[1] === 'features' ? `features/${parts[2]}` : (parts[1] ?? '')
}

function targetOf(source: Source, specifier: string): string {
  return path.posix.join(path.posix.dirname(source.file), specifier)
}

function libraryOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

type Import = { file: string; target: string }

const importsOf = (source: Source): Import[] =>
  source.imports
    .filter(isRelative)
    .map((specifier) => ({ file: source.file, target: targetOf(source, specifier) }))
const relativeImports = product.flatMap(importsOf)
const libraryImports = product.flatMap(({ file, imports }) =>
  imports.filter((specifier) => !isRelative(specifier)).map((specifier) => ({ file, specifier })),
)

describe('who may import whom', () => {
  test('every unit imports only what the table gives it', () => {
    const wrong = relativeImports.filter(({ file, target }) => {
      if (isRoot(file) || unitOf(file) === unitOf(target)) return false
      return !(MAY_IMPORT[unitOf(file)] ?? []).includes(unitOf(target))
    })
    expect(wrong).toEqual([])
  })

  test('every unit is in the table', () => {
    const unknown = product.filter(({ file }) => !isRoot(file) && !(unitOf(file) in MAY_IMPORT))
    expect(unknown.map(({ file }) => file)).toEqual([])
  })

  test('a slice is entered through its index.ts', () => {
    const wrong = relativeImports.filter(({ file, target }) => {
      const isInside = unitOf(file) === unitOf(target)
      return (
        !isInside && target.startsWith('src/features/') && !/^src\/features\/[^/]+\/index\.ts$/.test(target)
      )
    })
    expect(wrong).toEqual([])
  })

  test('the table has no cycle: a slice uses only those above it', () => {
    const names = Object.keys(FEATURES)
    const wrong = names.filter((name, at) => FEATURES[name]?.some((use) => !names.slice(0, at).includes(use)))
    expect(wrong).toEqual([])
  })

  test('every use that the table grants is made', () => {
    const idle = Object.entries(FEATURES).flatMap(([name, uses]) => {
      const isUsed = (use: string) =>
        relativeImports.some(
          ({ file, target }) => unitOf(file) === feature(name) && unitOf(target) === feature(use),
        )
      return uses.filter((use) => !isUsed(use)).map((use) => `${name}: ${use}`)
    })
    expect(idle).toEqual([])
  })

  test('every imported file exists, and nothing imports the tests', () => {
    const wrong = relativeImports.filter(
      ({ target }) => !byFile.has(target) || /^(test|bench)\//.test(target),
    )
    expect(wrong).toEqual([])
  })

  test('no file imports itself through others', () => {
    expect(cycleAmong(product)).toEqual([])
  })
})

describe('the folders of a slice', () => {
  /** The folder of a slice in which a file lies, as `ade/syncs`; undefined for a file at its top or elsewhere. */
  const folderOf = (file: string) => /^src\/features\/([^/]+\/[^/]+)\//.exec(file)?.[1]

  /** Folders that use each other, through others of the slice too. */
  function knots(imports: readonly { file: string; target: string }[]): string[] {
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

  test('use each other in one direction', () => {
    expect(knots(relativeImports)).toEqual([])
  })

  test('a planted import back is found, also the long way round', () => {
    const from = (file: string, target: string) => ({
      file: `src/features/ade/${file}.ts`,
      target: `src/features/ade/${target}.ts`,
    })
    const there = [from('syncs/syncs', 'servers/store'), from('assignment/pass', 'syncs/store')]
    expect(knots(there)).toEqual([])
    expect(knots([...there, from('servers/stops', 'assignment/store')])).toEqual([
      'ade/syncs',
      'ade/assignment',
      'ade/servers',
    ])
  })
})

describe('the simulator', () => {
  const DOOR = 'src/simulator/index.ts'
  const folderOf = (file: string) => path.posix.relative('src/simulator', path.posix.dirname(file))
  const isInside = (file: string) => file.startsWith('src/simulator/')

  /** Imports between its folders that the table does not give. */
  const againstOrder = (imports: readonly Import[]) =>
    imports.filter(({ file, target }) => {
      const [from, to] = [folderOf(file), folderOf(target)]
      const isOpen = from === to || to === '' || file === DOOR
      return isInside(file) && isInside(target) && !isOpen && !SIMULATOR[from]?.includes(to)
    })

  /** Imports of the rest of src and of bench that do not go through its door. */
  const besideDoor = (imports: readonly Import[]) =>
    imports.filter(
      ({ file, target }) =>
        /^(src|bench)\//.test(file) && !isInside(file) && isInside(target) && target !== DOOR,
    )

  test('its folders use each other in one direction', () => {
    const names = Object.keys(SIMULATOR)
    const back = names.filter((name, at) => SIMULATOR[name]?.some((use) => !names.slice(0, at).includes(use)))
    expect(back).toEqual([])
    expect(againstOrder(relativeImports)).toEqual([])
  })

  test('every line of the table is used, and every folder is in it', () => {
    const arrows = new Set(
      relativeImports.map(({ file, target }) => `${folderOf(file)} > ${folderOf(target)}`),
    )
    const idle = Object.entries(SIMULATOR).flatMap(([name, uses]) =>
      uses.map((use) => `${name} > ${use}`).filter((arrow) => !arrows.has(arrow)),
    )
    expect(idle).toEqual([])
    const folders = new Set(
      product
        .map(({ file }) => file)
        .filter(isInside)
        .map(folderOf),
    )
    folders.delete('')
    expect([...folders].toSorted()).toEqual(Object.keys(SIMULATOR).toSorted())
  })

  test('it is entered through its index.ts', () => {
    expect(besideDoor(all.flatMap(importsOf))).toEqual([])
  })

  test('a planted import against the order, from the top, or beside the door is found', () => {
    const from = (file: string, target: string): Import => ({
      file: `src/simulator/${file}`,
      target: `src/simulator/${target}`,
    })
    const wrong = [
      from('device/device.ts', 'phone/phone.ts'),
      from('device/scep/client.ts', 'device/contact.ts'),
      from('device-facts.ts', 'wire/violations.ts'),
    ]
    const right = [from('fleet/fleet.ts', 'random.ts'), from('phone/phone.ts', 'device/device.ts')]
    expect(againstOrder([...wrong, ...right])).toEqual(wrong)
    const beside = { file: 'bench/phones.ts', target: 'src/simulator/phone/phone.ts' }
    expect(besideDoor([beside, { ...beside, target: DOOR }])).toEqual([beside])
  })
})

/** The files of one import cycle, types included; empty when there is none. */
function cycleAmong(sources: readonly Source[]): string[] {
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    const source = byFile.get(file)
    if (done.has(file) || source === undefined) return []
    for (const specifier of source.imports.filter(isRelative)) {
      const cycle = visit(targetOf(source, specifier), [...way, file])
      if (cycle.length > 0) return cycle
    }
    done.add(file)
    return []
  }
  return sources.map(({ file }) => visit(file, [])).find((cycle) => cycle.length > 0) ?? []
}

describe('where a library may be named', () => {
  test('every library is used only where it belongs', () => {
    const isBuiltin = (specifier: string) => specifier.startsWith('node:')
    const wrong = libraryImports.filter(
      ({ file, specifier }) =>
        !isBuiltin(specifier) && !CONFINED[libraryOf(specifier)]?.test(file) && !isRoot(file),
    )
    expect(wrong).toEqual([])
  })

  test('every library is a dependency that we declare, and every dependency is used', () => {
    const manifest: unknown = JSON.parse(
      readFileSync(path.resolve(import.meta.dirname, '../package.json'), 'utf8'),
    )
    expect(manifest).toHaveProperty('dependencies')
    const { dependencies } = manifest as { dependencies: Record<string, string> }
    const used = new Set(libraryImports.map(({ specifier }) => libraryOf(specifier)))
    // pino loads its printer for terminals by name.
    used.add('pino-pretty')
    const libraries = [...used].filter((name) => !name.startsWith('node:'))
    expect(libraries.toSorted()).toEqual(Object.keys(dependencies).toSorted())
  })

  test("Node's own modules are named with node:", () => {
    const builtins = new Set(builtinModules.filter((name) => !name.startsWith('node:')))
    expect(libraryImports.filter(({ specifier }) => builtins.has(libraryOf(specifier)))).toEqual([])
  })

  test('queries are written in stores, db and migrations alone', () => {
    const query = /\.(selectFrom|insertInto|updateTable|deleteFrom|mergeInto)\(|\bsql(<[^>]*>)?`/
    const wrong = product.filter(({ file, code }) => !STORE.test(file) && query.test(code))
    expect(wrong.map(({ file }) => file)).toEqual([])
  })

  test('the environment is read in one file', () => {
    const readers = product.filter(({ code }) => /process\s*\.\s*env\b|\bfrom 'node:process'/.test(code))
    expect(readers.map(({ file }) => file)).toEqual(['src/config/env.ts'])
  })
})

describe('which tables a store touches', () => {
  const tablesOf = new Map(
    product
      .filter(({ file }) => /^src\/db\/tables\/(?!index\.ts)/.test(file))
      .map(({ file, code }) => {
        const body = /export interface \w+Tables \{([^}]*)\}/.exec(code)?.[1] ?? ''
        return [
          path.posix.basename(file, '.ts'),
          [...body.matchAll(/^\s*(\w+):/gm)].map(([, name = '']) => name),
        ]
      }),
  )
  const TABLE_IN_KYSELY =
    /\.(?:selectFrom|insertInto|updateTable|deleteFrom|mergeInto|\w*[jJ]oin\w*|using|from|table)\(\s*\[?'(\w+)/g
  const TABLE_IN_SQL = /\b(?:from|join|into|update|only|using)\s+"?(\w+)/gi

  test('every file of tables declares some, and belongs to a slice', () => {
    const wrong = [...tablesOf].filter(([name, tables]) => tables.length === 0 || !(name in FEATURES))
    expect(wrong).toEqual([])
  })

  test('its own alone', () => {
    const stores = product.filter(({ file }) => /\/(\w+-)?store\.ts$/.test(file))
    const wrong = stores.flatMap(({ file, code }) => {
      const own = file.split('/')[2] ?? ''
      const foreign = [...tablesOf].flatMap(([name, tables]) => (name === own ? [] : tables))
      const named = [TABLE_IN_KYSELY, TABLE_IN_SQL].flatMap((pattern) => [...code.matchAll(pattern)])
      return named.flatMap(([, table = '']) => (foreign.includes(table) ? [{ file, table }] : []))
    })
    expect(wrong).toEqual([])
  })
})

describe('how the files are kept', () => {
  const sizes = product.map(({ lines }) => lines).toSorted((a, b) => a - b)

  test(`the median of ${sizes.length} files has ${sizes[sizes.length >> 1]} lines, none over ${MAX_LINES}`, () => {
    expect(product.filter(({ lines }) => lines > MAX_LINES).map(({ file }) => file)).toEqual([])
  })

  test('every exported name is used by another file', () => {
    const files = new Map<string, Set<string>>()
    for (const { file, code } of all) {
      for (const [word] of code.matchAll(/[\w$]+/g)) files.set(word, (files.get(word) ?? new Set()).add(file))
    }
    const unused = product
      .filter(({ file }) => unitOf(file) !== 'migrations')
      .flatMap((source) =>
        source.exports
          .filter(({ name, from }) => {
            const origin = from === null ? source.file : targetOf(source, from)
            return ![...(files.get(name) ?? [])].some((file) => file !== source.file && file !== origin)
          })
          .map(({ name }) => `${source.file}: ${name}`),
      )
    expect(unused).toEqual([])
  })

  test('no test is left out, nothing is put off', () => {
    const skipping =
      /\b(?:it|test|describe)\.(?:skip|only|to(?:do)|skipIf|runIf|fails)\b|\bx(?:it|describe)\(/
    const putOff = /\b(?:TO(?:DO)|FIX(?:ME))\b/
    const root = path.resolve(import.meta.dirname, '..')
    const wrong = all.filter(
      ({ file, code }) => skipping.test(code) || putOff.test(readFileSync(path.join(root, file), 'utf8')),
    )
    expect(wrong.map(({ file }) => file)).toEqual([])
  })
})
