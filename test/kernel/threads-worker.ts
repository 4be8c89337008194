import { threadId } from 'node:worker_threads'
import { AppError } from '../../src/kernel/errors.ts'
import { serveTasks } from '../../src/kernel/threads.ts'

/** What a task of this worker asks for. */
export interface TestTask {
  do: 'echo' | 'fail' | 'throw' | 'die' | 'wait' | 'transfer' | 'name'
  value?: unknown
  gate?: SharedArrayBuffer
}

serveTasks(({ do: what, value, gate }: TestTask) => {
  if (what === 'fail') throw new AppError('cms_invalid', 'refused')
  if (what === 'throw') throw new Error('broken')
  if (what === 'die') process.exit(3)
  if (what === 'wait' && gate !== undefined) Atomics.wait(new Int32Array(gate), 0, 0)
  if (what === 'name') return { result: threadId }
  if (what === 'transfer') {
    const bytes = new Uint8Array(4).fill(7)
    return { result: bytes, transfer: [bytes.buffer] }
  }
  return { result: value }
})
