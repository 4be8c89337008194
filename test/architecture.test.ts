import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { FEATURES, SIMULATOR } from './house/layers.ts'
import * as rules from './house/rules.ts'
import { readSources } from './house/source.ts'

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
 * Which files of the product may name a library. One that is not here may not be used before it is decided where;
 * asn1js is none of these, but what codecs are compared with in tests.
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
  pkijs: PROTOCOL,
  plist: PROTOCOL,
  yauzl: PROTOCOL,
  'http2-wrapper': /^src\/protocol\/apns\//,
  'openid-client': /^src\/features\/signin\//,
  pino: KERNEL,
  'pino-pretty': KERNEL,
  'prom-client': KERNEL,
}

const MAX_LINES = 400

const product = readSources('src', 'migrations')
const all = [...product, ...readSources('test', 'bench')]
const imports = rules.importsAmong(product)

describe('who may import whom', () => {
  test('every unit imports only what the table gives it', () => {
    expect(rules.notGranted(imports, MAY_IMPORT)).toEqual([])
  })

  test('every unit is in the table', () => {
    expect(rules.notInTable(product, MAY_IMPORT)).toEqual([])
  })

  test('a slice is entered through its index.ts', () => {
    expect(rules.besideTheDoor(imports)).toEqual([])
  })

  test('a slice uses only those above it', () => {
    expect(rules.outOfOrder(FEATURES)).toEqual([])
  })

  test('every use that the table grants is made', () => {
    expect(rules.idleGrants(imports, FEATURES)).toEqual([])
  })

  test('every imported file exists, and nothing imports the tests', () => {
    expect(rules.importedInVain(imports, all)).toEqual([])
  })

  test('no file imports itself through others', () => {
    expect(rules.circleAmong(imports)).toEqual([])
  })

  test('the folders of a slice use each other in one direction', () => {
    expect(rules.knots(imports)).toEqual([])
  })
})

describe('the simulator', () => {
  test('its folders use each other in one direction', () => {
    expect(rules.outOfOrder(SIMULATOR)).toEqual([])
    expect(rules.againstOrder(imports, SIMULATOR)).toEqual([])
  })

  test('every line of the table is used, and every folder is in it', () => {
    expect(rules.idleArrows(imports, SIMULATOR)).toEqual([])
    expect(rules.simulatorFolders(product)).toEqual(Object.keys(SIMULATOR).toSorted())
  })

  test('it is entered through its index.ts', () => {
    expect(rules.besideTheSimulatorsDoor(rules.importsAmong(all))).toEqual([])
  })
})

describe('where a thing may be named', () => {
  test('every library is used only where it belongs', () => {
    expect(rules.misplacedLibraries(product, CONFINED)).toEqual([])
  })

  test('every library is a dependency that we declare, and every dependency is used', () => {
    const manifest: unknown = JSON.parse(
      readFileSync(path.resolve(import.meta.dirname, '../package.json'), 'utf8'),
    )
    expect(manifest).toHaveProperty('dependencies')
    const { dependencies } = manifest as { dependencies: Record<string, string> }
    // pino loads its printer for terminals by name.
    const used = new Set([...rules.librariesOf(product).map(({ name }) => name), 'pino-pretty'])
    const libraries = [...used].filter((name) => !name.startsWith('node:'))
    expect(libraries.toSorted()).toEqual(Object.keys(dependencies).toSorted())
  })

  test("Node's own modules are named with node:", () => {
    expect(rules.bareBuiltins(product)).toEqual([])
  })

  test('queries are written in stores, db and migrations alone, prepared ones in db', () => {
    expect(rules.misplacedQueries(product, STORE)).toEqual([])
  })

  test('the environment is read in one file', () => {
    expect(rules.readersOfTheEnvironment(product)).toEqual(['src/config/env.ts'])
  })
})

describe('which tables a store touches', () => {
  const tables = rules.tablesOf(product)

  test('every file of tables declares some, and belongs to a slice', () => {
    const wrong = [...tables].filter(([name, declared]) => declared.length === 0 || !(name in FEATURES))
    expect(wrong).toEqual([])
  })

  test('its own alone', () => {
    expect(rules.foreignTables(product, tables)).toEqual([])
  })
})

describe('how the files are kept', () => {
  test(`none has more than ${MAX_LINES} lines`, () => {
    expect(rules.longerThan(product, MAX_LINES)).toEqual([])
  })

  test('every exported name is imported by another file', () => {
    const exporting = product.filter(({ file }) => !file.startsWith('migrations/'))
    expect(rules.unusedExports(exporting, all)).toEqual([])
  })

  test('no test is left out, nothing is put off', () => {
    const root = path.resolve(import.meta.dirname, '..')
    const texts = all.map(({ file }) => ({ file, text: readFileSync(path.join(root, file), 'utf8') }))
    expect(rules.leavingTestsOut(all)).toEqual([])
    expect(rules.puttingOff(texts)).toEqual([])
  })
})
