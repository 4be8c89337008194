import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { VARIABLES } from '../../src/config/env.ts'
import { explainReason, REASON_CODES } from '../../src/features/attempts/reasons.ts'
import { withDefaults as policyWithDefaults } from '../../src/features/enrollment-policies/defaults.ts'
import { OWN_REASONS } from '../../src/features/explain/reasons.ts'
import { CATALOGUE, EVENT_TYPES } from '../../src/features/events/catalogue.ts'
import { withDefaults as settingsWithDefaults } from '../../src/features/settings/schema.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { EVERYTHING, firstColumn, PAGES, read, ROOT, rowsOf, section } from './pages.ts'
import { readSources } from './source.ts'

/** A default as the tables have it. */
function inWords(value: unknown): string {
  if (value === '') return 'empty'
  if (Array.isArray(value)) return 'none'
  return typeof value === 'object' && value !== null ? 'all true' : String(value)
}

/** Names and defaults as the tables have them. */
function defaultsIn(text: string): string[][] {
  return rowsOf(text).map((row) => row.slice(0, 2))
}

describe('what the pages say is so', () => {
  test('every variable of the environment is told by its whole name, and none that there is not', () => {
    const told = firstColumn(section('docs/configuration.md', 'Environment variables'))
    expect(told.toSorted()).toEqual([...VARIABLES].toSorted())
    const named = new Set(EVERYTHING.match(/\bFIRSTBOOT_(?!TEST_)[A-Z_]+\b/g))
    const known: readonly string[] = [...VARIABLES, 'FIRSTBOOT_URL', 'FIRSTBOOT_TOKEN']
    expect([...named].filter((name) => !known.includes(name))).toEqual([])
  })

  test('every setting is told with its default, and none that there is not', () => {
    const told = defaultsIn(section('docs/configuration.md', 'Settings at run time'))
    expect(told).toEqual(
      Object.entries(settingsWithDefaults({})).map(([name, value]) => [name, inWords(value)]),
    )
  })

  test('every script that is named exists, and every one that is for people is named', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const told = new Set(
      [...EVERYTHING.matchAll(/\bnpm (?:run (?:-s )?)?([a-z-]+)/g)].map(([, name = '']) => name),
    )
    const ofNpm = ['ci', 'prune']
    expect([...told].filter((name) => !(name in scripts) && !ofNpm.includes(name))).toEqual([])
    const forNpm = ['build', 'prepack']
    expect(Object.keys(scripts).filter((name) => !told.has(name) && !forNpm.includes(name))).toEqual([])
  })

  test('every event is there with its sentence, and none but ours', () => {
    const told = rowsOf(section('docs/events.md', 'Events'))
    expect(told.map(([type]) => type).toSorted()).toEqual(EVENT_TYPES.toSorted())
    const sentences = EVENT_TYPES.map((type) => [type, capital(CATALOGUE[type].sentence)])
    expect(told.toSorted()).toEqual(sentences.toSorted())
  })

  test('every reason is there with its meaning, and none but ours', () => {
    expect(rowsOf(section('docs/events.md', 'Reasons'))).toEqual(
      REASON_CODES.map((reason) => [reason, explainReason(reason)]),
    )
  })

  test('every reason of explanations is there with its meaning, and none but ours', () => {
    const told = rowsOf(section('docs/operations.md', 'Why something is as it is'))
    expect(told).toEqual(Object.entries(OWN_REASONS))
  })

  test('every field of a policy is told with its default, and none that there is not', () => {
    const { ade, ...fields } = policyWithDefaults({}) as { ade: Record<string, unknown> }
    const inside = Object.entries(ade).map(([name, value]) => [`ade.${name}`, value] as const)
    const text = section('docs/enrollment.md', 'Enrollment policies')
    expect(defaultsIn(text)).toEqual([
      ['name', ''],
      ...[...Object.entries(fields), ...inside].map(([name, value]) => [name, inWords(value)]),
    ])
    const panes = Object.keys(ade['setup_assistant'] ?? {})
    expect(panes.filter((pane) => !text.includes(`\`${pane}\``))).toEqual([])
  })

  test('metrics and log lines are as the operations page says', async () => {
    const page = read('docs/operations.md')
    const { body } = await createMetrics().render()
    const metrics = [...new Set(EVERYTHING.match(/\b(?:firstboot|nodejs)_[a-z0-9_]+\b/g))]
    expect(metrics.length).toBeGreaterThan(5)
    expect(metrics.filter((name) => !body.includes(`# TYPE ${name} `))).toEqual([])
    const logged = [...page.matchAll(/^\| `([^`]+)`[^|]*\|/gm)]
      .flatMap(([cell]) => [...cell.matchAll(/`([^`]+)`/g)])
      .map(([, name = '']) => name)
      .filter((name) => name.includes('.'))
    expect(logged.length).toBeGreaterThan(10)
    const code = readSources('src')
      .map((source) => source.code)
      .join('\n')
    expect(logged.filter((name) => !code.includes(`'${name}'`))).toEqual([])
  })
})

describe('how the pages hang together', () => {
  test('the README is short, and leads to every page', () => {
    const readme = read('README.md')
    expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(250)
    const pages = PAGES.map(({ name }) => name).filter((name) => name !== 'README.md')
    expect(pages.filter((name) => !readme.includes(`](${name})`))).toEqual([])
  })

  test('every link leads somewhere', () => {
    const broken = PAGES.flatMap(({ name, text }) =>
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

  test('every file and folder of the repository that is named exists', () => {
    const named = PAGES.flatMap(({ name, text }) =>
      [...text.matchAll(/`((?:src|test|bench|migrations|docs|certs\.example|\.ci)\/[\w./-]*)`/g)].map(
        ([, file = '']) => ({ page: name, file }),
      ),
    )
    expect(named.length).toBeGreaterThan(50)
    expect(named.filter(({ file }) => !existsSync(path.join(ROOT, file)))).toEqual([])
    const tree = treeIn(section('docs/architecture.md', 'The tree'))
    expect(tree.length).toBeGreaterThan(10)
    expect(tree.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([])
  })

  test('every slice is told, in an order in which each uses only those above it, with what it uses', () => {
    const told = rowsOf(section('docs/architecture.md', 'The slices')).map(([slice = '', , uses = '']) => ({
      slice,
      uses: uses === 'none' ? [] : uses.split(', ').map((name) => name.replaceAll('`', '')),
    }))
    const order = told.map(({ slice }) => slice)
    const used = usesOfSlices()
    expect(order.toSorted()).toEqual([...used.keys()].toSorted())
    expect(told).toEqual(
      order.map((slice, at) => ({
        slice,
        uses: order.slice(0, at).filter((other) => used.get(slice)?.has(other)),
      })),
    )
  })
})

function capital(sentence: string): string {
  return sentence.slice(0, 1).toUpperCase() + sentence.slice(1)
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(name: string): string[] {
  return [...read(name).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
}

/** The paths of a tree that is drawn with two spaces a level. */
function treeIn(text: string): string[] {
  const [, drawn = ''] = /```\n([^]*?)```/.exec(text) ?? []
  const above: string[] = []
  return [...drawn.matchAll(/^( *)(\S+)/gm)].map(([, indent = '', name = '']) => {
    above.splice(indent.length / 2, Infinity, name)
    return above.join('/')
  })
}

/** Which slices import which others. */
function usesOfSlices(): Map<string, Set<string>> {
  const uses = new Map<string, Set<string>>()
  for (const { file, imports } of readSources('src/features')) {
    const [, , slice = ''] = file.split('/')
    const of = uses.get(slice) ?? new Set()
    uses.set(slice, of)
    for (const specifier of imports.filter((each) => each.startsWith('.'))) {
      const [, folder, other = ''] = path.posix.join(path.posix.dirname(file), specifier).split('/')
      if (folder === 'features' && other !== slice) of.add(other)
    }
  }
  return uses
}
