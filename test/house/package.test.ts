import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { freePort } from '../../src/simulator/index.ts'

/*
 * The package as a stranger gets it: packed from a copy of the tree (so that nothing else sees the build), installed
 * in an empty project with install scripts off, and run by the Node that the system has.
 */
const ROOT = path.resolve(import.meta.dirname, '../..')
const INSTALL_TIMEOUT = 600_000
const START_TIMEOUT = 240_000

const folder = temporaryFolder()
afterAll(() => folder.remove())
const project = path.join(folder.path, 'project')
const program = path.join(project, 'node_modules/.bin/firstboot')

/** The environment without what npm and our own Node have put into it for the running of these tests. */
const environment = Object.fromEntries(
  Object.entries(process.env)
    .filter(
      ([name]) =>
        name === 'NODE_EXTRA_CA_CERTS' ||
        !/^(npm_(package|lifecycle)_|npm_config_local_prefix|FIRSTBOOT_|NODE_|VITEST)/i.test(name),
    )
    .map(([name, value]) => [name, name === 'PATH' ? withoutModules(value ?? '') : value]),
)

function withoutModules(searchPath: string): string {
  return searchPath
    .split(path.delimiter)
    .filter((entry) => !entry.includes('node_modules') && !entry.includes('node-gyp-bin'))
    .join(path.delimiter)
}

function run(cwd: string, command: string, ...parameters: string[]): string {
  return execFileSync(command, parameters, {
    cwd,
    env: environment,
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT,
  })
}

beforeAll(() => {
  const copy = path.join(folder.path, 'copy')
  const { files } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { files: string[] }
  const sources = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'migrations']
  for (const name of [...sources, ...files.filter((file) => file !== 'dist')]) {
    cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true })
  }
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'))
  run(copy, 'npm', 'pack', '--loglevel', 'error', '--pack-destination', folder.path)
  mkdirSync(project)
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n')
  const tarball = readdirSync(folder.path).find((name) => name.endsWith('.tgz')) ?? ''
  const quiet = ['--loglevel', 'error', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts']
  run(project, 'npm', 'install', ...quiet, path.join(folder.path, tarball))
}, 3 * INSTALL_TIMEOUT)

test('the package holds the program and its papers, and neither sources nor tests', () => {
  const installed = path.join(project, 'node_modules/firstboot')
  expect(readdirSync(installed).toSorted()).toEqual(
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'docs', 'package.json'].toSorted(),
  )
  const built = readdirSync(path.join(installed, 'dist'), { recursive: true, encoding: 'utf8' })
  expect(built.filter((name) => !/\.(js(\.map)?|json)$/.test(name) && path.extname(name) !== '')).toEqual([])
  expect(built).toContain(path.join('src', 'main.js'))
})

test('firstboot --help prints its usage, whichever Node the system has', () => {
  const usage = run(project, program, '--help')
  expect(usage).toMatch(/usage/i)
  expect(usage).toContain('serve')
  expect(run(project, 'npx', '--no-install', 'firstboot', '--help')).toBe(usage)
})

test('a verb that is none ends with exit code 2', async () => {
  const child = spawn(program, ['frobnicate'], { cwd: project, env: environment, stdio: 'ignore' })
  expect(await once(child, 'exit')).toEqual([2, null])
})

test(
  'firstboot serve starts on nothing, answers, and ends at SIGTERM with exit code 0',
  async () => {
    const port = await freePort()
    const dataDir = path.join(folder.path, 'data')
    const settings = { FIRSTBOOT_PORT: String(port), FIRSTBOOT_DATA_DIR: dataDir }
    const child = spawn(program, ['serve'], {
      cwd: project,
      env: { ...environment, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const output = collect(child)
    const ended = once(child, 'exit')
    try {
      const url = `http://127.0.0.1:${port}`
      expect(await untilReady(`${url}/readyz`, child), output()).toBe(200)
      const token = readFileSync(path.join(dataDir, 'admin-token'), 'utf8').trim()
      const devices = await fetch(`${url}/api/v1/devices`, { headers: { authorization: `Bearer ${token}` } })
      expect(devices.status).toBe(200)
      expect(await devices.json()).toMatchObject({ items: [], next_cursor: null })
      expect(output()).not.toContain(token)
      child.kill('SIGTERM')
      expect(await ended, output()).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
    }
  },
  START_TIMEOUT + 20_000,
)

function collect(child: ChildProcess): () => string {
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}

/** The status of `url` once it is 200; the last one seen, or 0, when the program ends or takes too long. */
async function untilReady(url: string, child: ChildProcess): Promise<number> {
  const deadline = Date.now() + START_TIMEOUT
  let status = 0
  while (status !== 200 && child.exitCode === null && Date.now() < deadline) {
    await pause(100)
    status = await fetch(url).then(
      (answer) => answer.status,
      () => 0,
    )
  }
  return status
}
