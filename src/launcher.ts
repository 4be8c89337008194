#!/usr/bin/env node
// Starts the program with a Node that can run it: the one that runs this file, else the one that is installed with
// this package. So this file, once built, must be readable for older versions too, and imports nothing of ours
// before it has looked.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED = [22, 18] as const
const require = createRequire(import.meta.url)

function isNewEnough(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
}

/** The Node of the platform package, or null where there is none. */
function bundledNode(): string | null {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  try {
    const folder = path.dirname(require.resolve(`${name}/package.json`))
    return path.join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  } catch {
    return null
  }
}

/** Hands over to `node`: arguments, streams, signals and the way it ends. */
function handOver(node: string): void {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  // A terminal sends this one to both of us.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  child.on('error', (error) => giveUp(`The Node.js of this package does not start: ${error.message}`))
  child.on('exit', (code, signal) =>
    process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
  )
}

function giveUp(message: string): never {
  process.stderr.write(`firstboot: ${message}\n`)
  process.exit(1)
}

if (isNewEnough()) {
  await import('./main.ts')
} else {
  const node = bundledNode()
  if (node === null) {
    const needed = NEEDED.join('.')
    giveUp(`Node.js ${needed} or newer is needed; this is ${process.version} (${process.execPath}).`)
  } else {
    handOver(node)
  }
}
