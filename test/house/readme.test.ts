import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { VARIABLES } from '../../src/config/env.ts'
import { REASON_CODES } from '../../src/features/attempts/reasons.ts'
import { withDefaults } from '../../src/features/enrollment-policies/defaults.ts'
import { EVENT_TYPES } from '../../src/features/events/types.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { requirePrograms } from './programs.ts'
import { readSources } from './source.ts'
import { type Block, blocksOf, normalize, play } from './story.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(path.join(ROOT, name), 'utf8')
const readme = read('README.md')
const documents = readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
const names = ['README.md', ...documents.map((name) => `docs/${name}`)]
const AUTOMATED = 'Automated Device Enrollment: out of the box, on to Wi-Fi, enrolled'
const pages = names.map((name) => ({ name, text: read(name) }))
const everything = pages.map(({ text }) => text).join('\n')

/** The text under a heading, up to the next one of its level. */
function section(heading: string): string {
  const start = readme.indexOf(`\n## ${heading}`)
  expect(start, heading).toBeGreaterThan(0)
  const end = readme.indexOf('\n## ', start + 1)
  return readme.slice(start, end < 0 ? undefined : end)
}

/** The first column of the tables in a text: what is in backticks. */
function firstColumn(text: string): string[] {
  return [...text.matchAll(/^\| `([^`]+)`\s*\|/gm)].map(([, name = '']) => name)
}

/** The types of events that are told, `.refused` being short for the thing before it. */
function eventTypes(text: string): string[] {
  let thing = ''
  return [...text.matchAll(/`([a-z_]*)\.([a-z_]+)`/g)].map(([, name = '', happened = '']) => {
    if (name !== '') thing = name
    return `${thing}.${happened}`
  })
}

/** A default of a policy as the table has it. */
function inWords(value: unknown): string {
  if (value === '') return 'empty'
  if (Array.isArray(value)) return 'none'
  return typeof value === 'object' && value !== null ? 'all true' : String(value)
}

describe('what the pages say is so', () => {
  test('every setting is told by its whole name, and none that there is not', () => {
    expect(firstColumn(section('Settings')).toSorted()).toEqual([...VARIABLES].toSorted())
    const told = new Set(everything.match(/\bFIRSTBOOT_(?!TEST_)[A-Z_]+\b/g))
    const known: readonly string[] = [...VARIABLES, 'FIRSTBOOT_URL', 'FIRSTBOOT_TOKEN']
    expect([...told].filter((name) => !known.includes(name))).toEqual([])
  })

  test('every script that is named exists, and every one that is for people is named', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const told = new Set(
      [...everything.matchAll(/\bnpm (?:run (?:-s )?)?([a-z-]+)/g)].map(([, name = '']) => name),
    )
    const ofNpm = ['ci', 'prune']
    expect([...told].filter((name) => !(name in scripts) && !ofNpm.includes(name))).toEqual([])
    const forNpm = ['build', 'prepack']
    expect(Object.keys(scripts).filter((name) => !told.has(name) && !forNpm.includes(name))).toEqual([])
  })

  test('the reason codes and the types of events are all there, and none but ours', () => {
    expect(firstColumn(section('Events and reasons')).filter((name) => !name.includes('.'))).toEqual(
      REASON_CODES,
    )
    expect(eventTypes(section('Events and reasons')).toSorted()).toEqual(EVENT_TYPES.toSorted())
  })

  test('every field of a policy is told with its default, and none that there is not', () => {
    const { ade, ...fields } = withDefaults({}) as { ade: Record<string, unknown> }
    const inside = Object.entries(ade).map(([name, value]) => [`ade.${name}`, value] as const)
    const text = section(AUTOMATED)
    const rows = [...text.matchAll(/^\| `([a-z_.]+)` +\| +(\S*(?: true)?) +\|/gm)]
      .filter(([, name = '']) => !['name', 'ws_trust', 'oidc'].includes(name))
      .map(([, name, value = '']) => [name, value.replaceAll('`', '')])
    expect(rows).toEqual(
      [...Object.entries(fields), ...inside].map(([name, value]) => [name, inWords(value)]),
    )
    const panes = Object.keys(ade['setup_assistant'] ?? {})
    expect(panes.filter((pane) => !text.includes(`\`${pane}\``))).toEqual([])
  })

  test('metrics and log lines are as the operations page says', async () => {
    const page = read('docs/operations.md')
    const { body } = await createMetrics().render()
    const metrics = [...new Set(page.match(/\b(?:firstboot|nodejs)_[a-z0-9_]+\b/g))]
    expect(metrics.length).toBeGreaterThan(5)
    expect(metrics.filter((name) => !body.includes(`# TYPE ${name} `))).toEqual([])
    const logged = firstColumn(page).filter((name) => name.includes('.'))
    const code = readSources('src')
      .map((source) => source.code)
      .join('\n')
    expect(logged.filter((name) => !code.includes(`'${name}'`))).toEqual([])
  })

  test('every link leads somewhere', () => {
    const broken = pages.flatMap(({ name, text }) =>
      [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)]
        .filter(([, file = '', anchor]) => {
          const target = file === '' ? name : path.join(path.dirname(name), file)
          return (
            !existsSync(path.join(ROOT, target)) ||
            (anchor !== undefined && !anchorsOf(target).includes(anchor))
          )
        })
        .map(([link]) => `${name}: ${link}`),
    )
    expect(broken).toEqual([])
  })
})

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(name: string): string[] {
  return [...read(name).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
}

/** Plays the story under a heading in a folder of its own; what it says must be what is shown. Gives all outputs. */
async function tell(heading: string, further: readonly Block[] = []): Promise<(string | null)[]> {
  requirePrograms({ curl: 'curl', openssl: 'openssl', scepclient: 'scep' })
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const blocks = blocksOf(section(heading))
  const outputs = await play([...blocks, ...further], folder.path)
  expect(blocks.length).toBeGreaterThan(5)
  blocks.forEach(({ code, shown }, index) => {
    if (shown !== null) expect(normalize(outputs[index] ?? ''), code).toBe(normalize(shown))
  })
  return outputs
}

describe('the stories', { timeout: 900_000 }, () => {
  test('the first goes as it is told, and the addresses that are named exist', async () => {
    const code = `curl -sS $SERVER/api/v1/openapi.json -H "Authorization: Bearer $TOKEN"`
    const outputs = await tell('The story: from nothing to an obeying device', [
      { code, isBackground: false, shown: null },
    ])
    const { paths } = JSON.parse(outputs.at(-1) ?? '') as { paths: Record<string, unknown> }
    const known = Object.keys(paths).map((name) => name.replaceAll(/\{[^}]+\}/g, '{}'))
    const told = new Set(
      everything.match(/\/api\/v1\/[a-z{][\w/{}-]*/g)?.map((name) => name.replaceAll(/\{[^}]+\}/g, '{}')),
    )
    expect([...told].filter((name) => !known.includes(name))).toEqual(['/api/v1/openapi'])
  })

  test('automated enrollment goes as it is told', async () => {
    await tell(AUTOMATED)
  })
})
