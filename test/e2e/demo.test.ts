import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { DEMO_REASONS } from '../../src/simulator/demo/world/reasons.ts'
import { REASON_CODES } from '../../src/features/attempts/reasons.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const PATIENCE_MS = 600_000

const folder = temporaryFolder()
afterAll(() => folder.remove())

test('the demo knows every reason there is', () => {
  expect([...DEMO_REASONS].toSorted()).toEqual(REASON_CODES.toSorted())
})

test(
  'npm run demo -- --once ends with exit code 0 and a table with every outcome, and leaves nothing behind',
  async () => {
    const child = spawn('npm', ['run', '-s', 'demo', '--', '--once'], {
      cwd: ROOT,
      env: { ...process.env, TMPDIR: folder.path },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const chunks: Buffer[] = []
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [code] = (await once(child, 'close')) as [number]
    const output = Buffer.concat(chunks).toString()
    expect(code, output).toBe(0)
    const table = output.slice(output.indexOf('  Outcome'))
    const rows = [...table.matchAll(/^✓ (\w+) +([\d +]+\d) {2,}\S/gm)].map(([, outcome]) => outcome)
    expect(new Set(rows)).toEqual(
      new Set(['enrolled', 'delivered', 'rollout_halted', 'rolled_back', ...DEMO_REASONS]),
    )
    expect(output).toContain('Nobody broke a protocol.')
    expect(output).not.toContain('✗')
    expect(readdirSync(folder.path).filter((name) => name.startsWith('firstboot'))).toEqual([])
  },
  PATIENCE_MS,
)
