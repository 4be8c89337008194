import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../../src/simulator/index.ts'

/** A shell block of a page: what is typed, whether it keeps running, and the output that is shown below it. */
export interface Block {
  code: string
  isBackground: boolean
  shown: string | null
}

const ROOT = path.resolve(import.meta.dirname, '../..')
const FENCE = /^```sh( background)?\n([^]*?)^```\n(?:\n```text\n([^]*?)^```\n)?/gm
/** A mark that ends the output of a block. */
const END = '==end of block=='
/** Looks, a twentieth of a second apart, at something that is to happen: a first start takes long on a busy machine. */
const TURNS = 6000
/** Times that something is looked at again which takes the server a moment. */
const SHOWN_TURNS = 120

/** The shell blocks of a piece of Markdown, in their order. */
export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(FENCE)].map(([, background, code = '', shown]) => ({
    code,
    isBackground: background !== undefined,
    shown: shown ?? null,
  }))
}

/** Output without what differs from run to run: times, ids, ports and the width of columns. */
export function normalize(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/gi, '<uuid>')
    .replaceAll(/\d{4}-\d\d-\d\d/g, '<date>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '<address>')
    .replaceAll(/took=\S+/g, 'took=<time>')
    .replaceAll(/[ \t]+/g, ' ')
    .replaceAll(/^ | $/gm, '')
    .trim()
}

/** Types the blocks into a shell in `folder`, where the tree is as in a clone; gives each foreground block's output. */
export async function play(blocks: readonly Block[], folder: string): Promise<(string | null)[]> {
  for (const name of ['package.json', 'node_modules', 'src', 'migrations', 'certs.example'])
    symlinkSync(path.join(ROOT, name), path.join(folder, name))
  const stage = await openStage(folder)
  try {
    const outputs: (string | null)[] = []
    for (const block of blocks)
      outputs.push(block.isBackground ? await stage.start(block.code) : await show(stage, block))
    return outputs
  } finally {
    await stage.close()
  }
}

/** Types a block. What stands after a pause is typed again until it shows what it should: how long that takes nobody knows. */
async function show(stage: Awaited<ReturnType<typeof openStage>>, { code, shown }: Block): Promise<string> {
  const [first = '', last] = code.split(/^sleep \d+\n/m)
  const before = await stage.type(first)
  if (last === undefined) return before
  for (let turns = 0; ; turns++) {
    const output = await stage.type(last)
    const isShown = shown === null || normalize(before + output) === normalize(shown)
    if (turns === SHOWN_TURNS || isShown) return before + output
    await pause(500)
  }
}

async function openStage(folder: string) {
  const [server, apns, ade] = [await freePort(), await freePort(), await freePort()]
  const env = {
    ...process.env,
    FIRSTBOOT_PORT: String(server),
    FIRSTBOOT_URL: `http://127.0.0.1:${server}`,
  }
  /** The same with ports that are free: other tests run at the same time. */
  const moved = (code: string) =>
    code
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${server}`)
      .replaceAll('127.0.0.1:2197', `127.0.0.1:${apns}`)
      .replaceAll('127.0.0.1:2198', `127.0.0.1:${ade}`)
      .replaceAll('-- simulate', `-- simulate --apns-port ${apns} --ade-port ${ade}`)
  const running = new Map<string, ChildProcess>()
  const shell = spawn('bash', ['-s'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] })
  shell.stdin.write('exec 2>&1\n')
  const read = collect(shell)

  async function start(code: string): Promise<null> {
    const name = code.includes('simulate') ? 'simulator' : 'server'
    await stop(running.get(name))
    const child = spawn('bash', ['-c', moved(code)], { cwd: folder, env, detached: true })
    running.set(name, child)
    const output = collect(child)
    await until(
      () => isUp(code, output(), server),
      () => `${code} said:\n${output()}`,
    )
    return null
  }

  async function type(code: string): Promise<string> {
    const before = read().length
    shell.stdin.write(`${moved(code)}\necho '${END}'\n`)
    await until(
      () => read().indexOf(END, before) >= 0,
      () => `${code} said:\n${read().slice(before)}`,
    )
    return read().slice(before, read().indexOf(END, before))
  }

  async function close(): Promise<void> {
    shell.kill('SIGKILL')
    for (const child of running.values()) await stop(child)
  }

  return { start, type, close }
}

async function isUp(code: string, output: string, server: number): Promise<boolean> {
  const devices = /--devices (\d+)/.exec(code)?.[1]
  if (devices !== undefined) return output.includes(`${devices} of ${devices} devices are enrolled`)
  if (code.includes('--ade')) return output.includes('The fake of Automated Device Enrollment is at')
  if (code.includes('simulate')) return output.includes('The fake APNs is at')
  const answer = await fetch(`http://127.0.0.1:${server}/readyz`).catch(() => undefined)
  return answer?.status === 200
}

/** Ends a process with all that it has started. */
async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  process.kill(-child.pid, 'SIGTERM')
  await ended
}

async function until(isDone: () => boolean | Promise<boolean>, explain: () => string): Promise<void> {
  for (let turns = 0; turns < TURNS; turns++) {
    if (await isDone()) return
    await pause(50)
  }
  throw new Error(`It takes too long. ${explain()}`)
}

function collect(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return () => text
}
