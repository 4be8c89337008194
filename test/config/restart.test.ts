import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const env = path.resolve('src/config/env.ts')
const PROGRAM = `
  import { restartWith } from ${JSON.stringify(env)}
  console.log('begins', process.pid, process.env.FOR_LIBRARY ?? 'without')
  restartWith({ FOR_LIBRARY: 'chosen', OTHER: 'x' })
  console.log('runs', process.pid, process.env.FOR_LIBRARY, process.argv.slice(1).join())`

async function start(variables: Record<string, string>): Promise<string[]> {
  const args = ['--input-type=module-typescript', '--eval', PROGRAM, 'serve']
  const { stdout, stderr } = await run(process.execPath, args, { env: { ...process.env, ...variables } })
  expect(stderr).toBe('')
  return stdout.trim().split('\n')
}

const restarts = process.platform === 'linux'

test('where the system can, the program starts anew once, as the same process, and has the variables', async () => {
  const lines = await start({})
  const pid = lines[0]?.split(' ')[1]
  const anew = [`begins ${pid} without`, `begins ${pid} chosen`, `runs ${pid} chosen serve`]
  expect(lines).toEqual(restarts ? anew : [`begins ${pid} without`, `runs ${pid} undefined serve`])
})

test('what was chosen by whoever starts the program stays', async () => {
  const lines = await start({ FOR_LIBRARY: 'theirs', OTHER: 'y' })
  expect(lines.map((line) => line.replace(/\d+/, '1'))).toEqual(['begins 1 theirs', 'runs 1 theirs serve'])
})
