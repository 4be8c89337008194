import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const runtime = path.resolve('src/kernel/runtime.ts')
const PROGRAM = `
  import { restartWith } from ${JSON.stringify(runtime)}
  const flags = process.execArgv.filter((flag) => flag.startsWith('--stack')).join()
  console.log('begins', process.pid, process.env.FOR_LIBRARY ?? 'without')
  restartWith({ variables: { FOR_LIBRARY: 'chosen', OTHER: 'x' }, flags: ['--stack-size=900', '--stack-trace-limit=20'] }, process.env)
  console.log('runs', process.pid, process.env.FOR_LIBRARY, flags, process.argv.slice(1).join())`

async function start(variables: Record<string, string>, ...flags: string[]): Promise<string[]> {
  const args = [...flags, '--input-type=module-typescript', '--eval', PROGRAM, 'serve']
  const { stdout, stderr } = await run(process.execPath, args, { env: { ...process.env, ...variables } })
  expect(stderr).toBe('')
  return stdout.trim().split('\n')
}

const restarts = process.platform === 'linux'

test('where the system can, the program starts anew once, as the same process, with variables and options', async () => {
  const lines = await start({})
  const pid = lines[0]?.split(' ')[1]
  const anew = [
    `begins ${pid} without`,
    `begins ${pid} chosen`,
    `runs ${pid} chosen --stack-size=900,--stack-trace-limit=20 serve`,
  ]
  expect(lines).toEqual(restarts ? anew : [`begins ${pid} without`, `runs ${pid} undefined  serve`])
})

test('what was chosen by whoever starts the program stays', async () => {
  const variables = { FOR_LIBRARY: 'theirs', OTHER: 'y', NODE_OPTIONS: '--stack-trace-limit=5' }
  const lines = await start(variables, '--stack_size=950')
  expect(lines.map((line) => line.replace(/\d+/, '1'))).toEqual([
    'begins 1 theirs',
    'runs 1 theirs --stack_size=950 serve',
  ])
})

test('one option that is missing is enough', async () => {
  const lines = await start({ FOR_LIBRARY: 'theirs', OTHER: 'y' }, '--stack-size=950')
  const last = `runs 1 theirs --stack-size=950,--stack-trace-limit=20 serve`
  expect(lines.at(-1)?.replace(/\d+/, '1')).toBe(restarts ? last : 'runs 1 theirs --stack-size=950 serve')
})
