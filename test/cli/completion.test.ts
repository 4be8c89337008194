import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'completion-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What somebody has typed, the last word as far as it is, and what the shell offers for it. */
const OFFERED: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['', ['devices', 'explain', 'login'], ['list']],
  ['dev', ['devices'], ['explain']],
  ['devices ', ['list', 'erase'], ['devices']],
  ['devices l', ['list', 'lock'], ['erase']],
  ['devices list --', ['--state', '--user', '--limit', '--output'], ['--wait']],
  ['devices list --state ', ['enrolled', 'unenrolled'], ['list']],
  ['devices erase F1 --o', ['--obliteration', '--output'], ['--state']],
  ['users list --output j', ['json'], ['table']],
]

async function script(shell: string): Promise<string> {
  const { code, out } = await cli.run(['completion', shell])
  expect(code).toBe(0)
  const file = path.join(folder, `firstboot.${shell}`)
  writeFileSync(file, out)
  return file
}

function expectOffers(typed: string, offered: readonly string[]): void {
  const [, has = [], lacks = []] = OFFERED.find(([line]) => line === typed) ?? []
  expect(offered).toEqual(expect.arrayContaining([...has]))
  expect(offered.filter((word) => lacks.includes(word))).toEqual([])
}

const isThere = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0
const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.split('\t')[0]?.trim() ?? '')
    .filter((line) => line !== '')

describe('completion', () => {
  test.each(OFFERED.map(([typed]) => [typed]))('bash: firstboot %s', async (typed) => {
    const file = await script('bash')
    const typing = `source "$1"; COMP_WORDS=(firstboot ${typed.endsWith(' ') || typed === '' ? `${typed}''` : typed})
      COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _firstboot; printf '%s\\n' "\${COMPREPLY[@]}"`
    expectOffers(typed, lines(execFileSync('bash', ['-euc', typing, 'bash', file], { encoding: 'utf8' })))
  })

  test('fish: all of them, where there is a fish', async () => {
    const file = await script('fish')
    if (!isThere('fish')) return
    for (const [typed] of OFFERED) {
      const typing = `source ${file}; complete -C 'firstboot ${typed}'`
      expectOffers(typed, lines(execFileSync('fish', ['--no-config', '-c', typing], { encoding: 'utf8' })))
    }
  })

  test('zsh: all of them, where there is a zsh', async () => {
    const file = await script('zsh')
    if (!isThere('zsh')) return
    for (const [typed] of OFFERED) {
      // What compadd is given stands for what the shell would show of it.
      const words = typed.split(' ')
      const typing = `compdef() { :; }; _files() { :; }; compadd() { print -l -- "\${(@P)2}"; }
        source ${file}; words=(firstboot ${words.map((word) => `'${word}'`).join(' ')}); CURRENT=$#words; _firstboot`
      const all = lines(execFileSync('zsh', ['-f', '-c', typing], { encoding: 'utf8' }))
      expectOffers(
        typed,
        all.filter((word) => word.startsWith(words.at(-1) ?? '')),
      )
    }
  })

  test('of another shell is wrong usage', async () => {
    expect(await cli.run(['completion', 'csh'])).toMatchObject({ code: 2, out: '' })
  })
})
