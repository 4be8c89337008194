import { describe, expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { examplesOf } from '../../src/cli/examples.ts'
import { VERBS } from '../../src/cli/verbs/index.ts'
import { useCli } from './harness.ts'

const cli = useCli()

describe('help', () => {
  test('of the whole program names every verb', async () => {
    const { code, out } = await cli.run(['--help'])
    expect(code).toBe(0)
    for (const { words, summary } of VERBS) {
      expect(out).toContain(words.join(' '))
      expect(out).toContain(summary)
    }
  })

  test.each(VERBS.map(({ words }) => [words.join(' ')]))('of %s', async (words) => {
    const { code, out } = await cli.run([...words.split(' '), '--help'])
    expect(code).toBe(0)
    expect(out).toContain(`Usage: firstboot ${words}`)
    expect(await cli.run(['help', ...words.split(' ')])).toEqual({ code, out, err: '' })
  })

  test('of a group lists its verbs only', async () => {
    const { code, out } = await cli.run(['devices', '--help'])
    expect(code).toBe(0)
    expect(out).toContain('devices timeline')
    expect(out).not.toContain('users create')
  })
})

describe('examples', () => {
  /** The words of a line, without quotes around them. */
  const wordsOf = (line: string) =>
    [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, one, two, three]) => one ?? two ?? three ?? '')

  test.each(VERBS.map((verb) => [verb.words.join(' '), verb] as const))(
    'of %s are right',
    async (_words, verb) => {
      const lines = examplesOf(verb)
      expect(lines.length).toBeGreaterThan(0)
      expect((await cli.run([...verb.words, '--help'])).out).toContain(`Examples:\n  ${lines[0]}\n`)
      for (const line of lines) {
        const command = line.slice(line.indexOf('firstboot ') + 'firstboot '.length).replace(/[)>].*$/, '')
        expect(command.startsWith(verb.words.join(' ')), line).toBe(true)
        const rest = wordsOf(command.slice(verb.words.join(' ').length)).filter((word) => word !== '-')
        const args = rest.map((word) => (word.endsWith('-file') ? `${word}=${import.meta.filename}` : word))
        expect(await readArguments(verb, args, new Date())).toBeDefined()
      }
    },
  )
})

describe('wrong usage ends with 2 and says why', () => {
  test.each([
    [[], 'Usage: firstboot <verb>'],
    [['fly'], '"fly" is no verb'],
    [['devices'], 'devices needs one of: list, get'],
    [['devices', 'fly'], 'devices needs one of'],
    [['devices', 'get'], '<id> is missing'],
    [['devices', 'get', 'a', 'b'], 'b is one argument too many'],
    [['device', 'list'], '"device" is no verb; did you mean devices?'],
    [['devices', 'lits'], 'did you mean list?'],
    [['devices', 'list', '--colour', 'red'], 'there is no option --colour\n'],
    [
      ['devices', 'list', '--serial-nubmer=F1'],
      'there is no option --serial-nubmer; did you mean --serial-number?',
    ],
    [['devices', 'list', '--wait'], 'there is no option --wait'],
    [['ade-servers', 'sync', 's', '--wait=soon'], '--wait: "soon" is not a span'],
    [['api-tokens', 'create', 'ci'], '--role is missing: one of viewer, operator, admin'],
    [['devices', 'list', '--state', 'broken'], '--state: "broken" is not one of enrolled, unenrolled'],
    [['devices', 'list', '--output', 'xml'], '--output is json or table'],
    [['devices', 'list', '--url', 'ftp://x'], '"ftp://x" is not an http or https address'],
    [['devices', 'list', '--token', 'a', '--token-file', 'b'], 'do not go together'],
    [['commands', 'send', '--type', 'DeviceLock'], '--device or --group is missing'],
    [['commands', 'send', '--device', 'a'], '--type or --plist is missing'],
    [['commands', 'send', '--device', 'a', '--type', 'X', '--json', '[1]'], 'is not a JSON object'],
    [['commands', 'send', '--device', 'a', '--type', 'X', '--expires-at', 'soon'], 'is not a time'],
    [['commands', 'send', '--device', 'a', '--plist', '/nowhere'], 'ENOENT'],
    [['enrollment-links', 'create', '--uses', 'many'], '"many" is not a whole number'],
    [['users', 'update', 'u1'], 'nothing to change is given'],
    [['users', 'create', 'ada', '--disabled', 'maybe'], 'is not true or false'],
    [['settings', 'set', 'limit'], '"limit" is not name=value'],
    [['simulate', '--devices', '0'], '--devices must be from 1 to 100000'],
    [['simulate', '--not-now', '2'], '--not-now must be from 0 to 1'],
  ])('%j', async (argv, message) => {
    const { code, out, err } = await cli.run(argv)
    expect(err).toContain(message)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(cli.requests).toEqual([])
  })

  test('no token anywhere', async () => {
    const { code, err } = await cli.run(['devices', 'list'], { env: { FIRSTBOOT_DATA_DIR: '/nowhere' } })
    expect(code).toBe(2)
    expect(err).toContain('/nowhere/admin-token cannot be read')
  })
})

test('migrate-from nanomdm wants one place to move in from, and reads its files', async () => {
  const asked: unknown[] = []
  const run = async (...more: string[]) => {
    const migrateFrom = async (given: unknown) => asked.push(given)
    const { code, err } = await cli.run(['migrate-from', 'nanomdm', ...more], { migrateFrom })
    return `${code} ${err}`
  }
  expect(await run()).toMatch(/^2 one of --database-url and --folder says/)
  expect(await run('--database-url', 'postgres://x', '--folder', 'y')).toMatch(/^2 one of/)
  expect(await run('--database-url', 'mysql://x')).toMatch(/^2 .*nano2nano/)
  expect(await run('--folder', 'y', '--ca', '/nowhere')).toMatch(/^2 ca: .*ENOENT/)
  expect(await run('--folder', 'y', 'z')).toMatch(/^2 /)
  expect(await run('--dry-run')).toMatch(/^2 /)
  expect(asked).toEqual([])
  expect(await run('--database-url', 'postgres://x/y', '--dry-run', '--output', 'json')).toBe('1 ')
  expect(asked).toEqual([
    {
      databaseUrl: 'postgres://x/y',
      folder: undefined,
      caPem: undefined,
      only: undefined,
      dryRun: true,
      json: true,
    },
  ])
})

test('the version', async () => {
  expect(await cli.run(['--version'], { version: '1.2.3' })).toEqual({
    code: 0,
    out: 'firstboot 1.2.3\n',
    err: '',
  })
})

test('serve, migrate and simulate are run by what is given', async () => {
  expect((await cli.run(['serve'], { serve: () => Promise.resolve(7) })).code).toBe(7)
  expect((await cli.run(['migrate'], { migrate: () => Promise.resolve(8) })).code).toBe(8)
  const seen: unknown[] = []
  const { code } = await cli.run(
    ['simulate', '--devices', '3', '--once', '--fail', '0.5', '--link', 'http://x/'],
    {
      simulate: ({ options, url }) => {
        seen.push(options, url)
        return Promise.resolve(9)
      },
    },
  )
  expect(code).toBe(9)
  expect(seen).toEqual([
    expect.objectContaining({
      devices: 3,
      once: true,
      fail: 0.5,
      notNow: 0,
      links: ['http://x/'],
      apnsPort: 2197,
    }),
    cli.url,
  ])
})
