import { describe, expect, test } from 'vitest'
import * as rules from './rules.ts'
import { scan } from './source.ts'

// Each rule of the house is broken by a planted source here, in every form in which it may be, and beside it stands what is right.

const feature = (name: string) => `src/features/${name}.ts`
const of = (...ways: [file: string, target: string][]) => ways.map(([file, target]) => ({ file, target }))

describe('who may import whom', () => {
  const table = { kernel: [], 'features/events': ['kernel'], 'features/users': ['kernel', 'features/events'] }

  test('an import that the table does not give is found', () => {
    const wrong = of(
      [feature('events/store'), feature('users/index')],
      ['src/kernel/ids.ts', feature('users/index')],
    )
    const right = of(
      [feature('users/store'), feature('events/index')],
      ['src/app.ts', feature('users/index')],
    )
    expect(rules.notGranted([...wrong, ...right], table)).toEqual(wrong)
  })

  test('a unit that the table does not know is found', () => {
    const sources = ['src/main.ts', feature('events/x'), feature('guests/x')].map((file) => scan(file, ''))
    expect(rules.notInTable(sources, table)).toEqual([feature('guests/x')])
  })

  test('who does not enter a slice through its door is found', () => {
    const wrong = of([feature('users/store'), feature('events/store')], ['src/app.ts', feature('events/api')])
    const right = of(
      [feature('events/api'), feature('events/store')],
      ['src/app.ts', feature('events/index')],
    )
    expect(rules.besideTheDoor([...wrong, ...right])).toEqual(wrong)
  })

  test('a slice that uses one that comes later is found, and a grant of which no use is made', () => {
    expect(rules.outOfOrder({ a: [], b: ['a', 'c'], c: [] })).toEqual(['b'])
    const made = of([feature('users/store'), feature('events/index')])
    expect(rules.idleGrants(made, { events: [], users: ['events'], push: ['events'] })).toEqual([
      'push: events',
    ])
  })

  test('an import of nothing, or of a test, is found', () => {
    const sources = ['src/a.ts', 'test/b.ts'].map((file) => scan(file, ''))
    const wrong = of(['src/a.ts', 'src/c.ts'], ['src/a.ts', 'test/b.ts'])
    expect(rules.importedInVain([...wrong, ...of(['test/b.ts', 'src/a.ts'])], sources)).toEqual(wrong)
  })

  test('a circle is found however long it is', () => {
    const line = of(['a', 'b'], ['b', 'c'], ['a', 'c'])
    expect(rules.circleAmong(line)).toEqual([])
    expect(rules.circleAmong([...line, ...of(['c', 'd'], ['d', 'b'])])).toEqual(['b', 'c', 'd', 'b'])
  })

  test('folders of a slice that use each other are found, also the long way round', () => {
    const ade = (from: string, to: string) => of([feature(`ade/${from}`), feature(`ade/${to}`)])
    const line = [...ade('syncs/syncs', 'servers/store'), ...ade('assignment/pass', 'syncs/store')]
    expect(rules.knots(line)).toEqual([])
    expect(rules.knots([...line, ...ade('servers/stops', 'assignment/store')])).toEqual([
      'ade/syncs',
      'ade/assignment',
      'ade/servers',
    ])
  })

  test('what goes against the order of the simulator, from its top, or beside its door is found', () => {
    const inside = (file: string, target: string) => of([`src/simulator/${file}`, `src/simulator/${target}`])
    const folders = { device: [], 'device/scep': [], phone: ['device'], fleet: ['phone'] }
    const wrong = [
      ...inside('device/device.ts', 'phone/phone.ts'),
      ...inside('device/scep/client.ts', 'device/contact.ts'),
      ...inside('device-facts.ts', 'device/contact.ts'),
    ]
    const right = [...inside('fleet/fleet.ts', 'random.ts'), ...inside('phone/phone.ts', 'device/device.ts')]
    expect(rules.againstOrder([...wrong, ...right], folders)).toEqual(wrong)
    expect(rules.idleArrows(right, folders)).toEqual(['fleet > phone'])
    expect(
      rules.simulatorFolders([scan('src/simulator/zoo/x.ts', ''), scan('src/simulator/y.ts', '')]),
    ).toEqual(['zoo'])
    const beside = of(['bench/phones.ts', 'src/simulator/phone/phone.ts'])
    expect(
      rules.besideTheSimulatorsDoor([...beside, ...of(['bench/x.ts', 'src/simulator/index.ts'])]),
    ).toEqual(beside)
  })
})

describe('where a thing may be named', () => {
  test('a library out of its place, or of nobody, is found, and a module of Node without node:', () => {
    const wrong = scan(
      'src/http/x.ts',
      "import { sql } from 'kysely'\nimport _ from 'lodash/fp'\nimport fs from 'fs/promises'",
    )
    const right = scan('src/db/x.ts', "import { sql } from 'kysely'\nimport fs from 'node:fs'")
    expect(rules.misplacedLibraries([wrong, right], { kysely: /^src\/db\// })).toEqual([
      'src/http/x.ts: kysely',
      'src/http/x.ts: lodash/fp',
    ])
    expect(rules.bareBuiltins([wrong, right])).toEqual(['src/http/x.ts: fs/promises'])
  })

  test.each([
    "db.selectFrom('users')",
    "trx.deleteFrom('users')",
    'sql`select 1`',
    'sql<{ n: number }>`select 1`',
    "db.prepared('poll', TEXT, [])",
    "db.prepared<Row>('poll', TEXT, [])",
  ])('a query that is written elsewhere is found: %s', (code) => {
    const stores = /store\.ts$/
    expect(rules.misplacedQueries([scan(feature('users/users'), code)], stores)).toHaveLength(1)
    expect(rules.misplacedQueries([scan('src/db/store.ts', code)], stores)).toEqual([])
  })

  test.each([
    'process.env.HOME',
    'process?.env',
    'process\n  .env',
    "process['env']",
    'process[name]',
    'const { env } = process',
    'const { argv, env: all } = globalThis.process',
    'const it = process',
    "globalThis['process']",
    "import { env } from 'node:process'",
    "import process from 'process'",
    "await import('node:process')",
  ])('a reader of the environment is found: %s', (code) => {
    expect(rules.readersOfTheEnvironment([scan('src/x.ts', code)])).toEqual(['src/x.ts'])
  })

  test.each(['const { stdout } = process', 'process.argv', 'loadConfig(env)', '// process.env'])(
    'and who does not read it is not: %s',
    (code) => expect(rules.readersOfTheEnvironment([scan('src/x.ts', code)])).toEqual([]),
  )
})

describe('which tables a store touches', () => {
  const tables = rules.tablesOf([
    scan(
      'src/db/tables/users.ts',
      'export interface UsersTables {\n  users: UsersTable\n  people: PeopleTable\n}',
    ),
    scan('src/db/tables/push.ts', 'export interface PushTables {\n  push_needs: NeedsTable\n}'),
  ])
  const found = (code: string, name = 'push/push-store') =>
    rules.foreignTables([scan(feature(name), code)], tables)

  test.each([
    "db.selectFrom('users')",
    "db.selectFrom('users as u')",
    "db.selectFrom(['push_needs', 'users as u'])",
    "db.innerJoin('users', 'a', 'b')",
    "db.updateTable('users')",
    "db.deleteFrom('push_needs').using('users')",
    'sql`select * from users`',
    'sql`select * from push_needs n, users u`',
    'sql`select * from push_needs as n, only "users"`',
    'sql`select * from push_needs join users on true`',
    'sql`with x as (delete from push_needs) insert into users select 1`',
    'sql`UPDATE users SET a = 1`',
    'sql`truncate table users`',
  ])('that of another slice is found: %s', (code) => {
    expect(found(code)).toEqual([`${feature('push/push-store')}: users`])
    expect(found(code, 'users/store').filter((each) => each.endsWith(': users'))).toEqual([])
    expect(found(code, 'push/push')).toEqual([])
  })

  test('and its own and what is no table are not', () => {
    expect(found("sql`select users from push_needs n, unnest(x) as u`; db.selectFrom('push_needs')")).toEqual(
      [],
    )
    expect(tables.get('users')).toEqual(['users', 'people'])
  })
})

describe('how the files are kept', () => {
  const kept = scan(
    'src/kept.ts',
    [
      'export const named = 1',
      'export type Typed = string',
      'export function spaced() {}',
      'export class Later {}',
      'export const handedOn = 1',
      'export const idle = 1',
      'export type Idle = typeof idle',
    ].join('\n'),
  )
  const door = scan('src/index.ts', "export { handedOn, idle } from './kept.ts'")
  const user = scan(
    'src/user.ts',
    [
      "import { named, type Typed as T } from './kept.ts'",
      "import * as all from './kept.ts'",
      "import { handedOn } from './index.ts'",
      'all.spaced()',
      "const { Later } = await import('./kept.ts')",
      "const word = 'idle'",
    ].join('\n'),
  )

  test('an exported name that nobody imports is found, though it is spoken of or handed on', () => {
    const sources = [kept, door, user]
    expect(rules.unusedExports(sources, sources)).toEqual([
      'src/kept.ts: idle',
      'src/kept.ts: Idle',
      'src/index.ts: idle',
    ])
    const whole = scan('src/whole.ts', "import * as all from './kept.ts'\nexport const every = { ...all }")
    expect(rules.unusedExports([kept], [kept, whole])).toEqual([])
  })

  test('a long file, a test that is left out, and what is put off are found', () => {
    expect(
      rules.longerThan([scan('src/x.ts', 'a\n'.repeat(401)), scan('src/y.ts', 'a\n'.repeat(400))], 400),
    ).toEqual(['src/x.ts'])
    for (const how of ['skip', 'only', ['to', 'do'].join(''), 'skipIf', 'runIf', 'fails'])
      expect(rules.leavingTestsOut([scan('test/x.ts', `test.${how}('it')`)])).toEqual(['test/x.ts'])
    expect(rules.leavingTestsOut([scan('test/x.ts', "test('it')")])).toEqual([])
    for (const mark of [['TO', 'DO'].join(''), ['FIX', 'ME'].join('')])
      expect(rules.puttingOff([{ file: 'src/x.ts', text: `// ${mark}: later` }])).toEqual(['src/x.ts'])
  })
})
