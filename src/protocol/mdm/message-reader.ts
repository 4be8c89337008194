import { extname } from 'node:path'
import type { ThreadPool } from '../../kernel/threads.ts'
import type { MessageTask } from './message-worker.ts'
import { readCheckin, readResult } from './read-message.ts'
import type { ReadCheckin, ReadResult } from './read-message.ts'

/** Largest body, in bytes, that is read on the calling thread: a millisecond or two. */
const LARGEST_INLINE = 256 * 1024

/** The script of the threads that read large messages, for `createThreadPool`. */
export const messageWorkerScript = new URL(`message-worker${extname(import.meta.filename)}`, import.meta.url)

/** Reads messages: small ones at once, large ones on another thread. The bodies stay as they are. */
export interface MessageReader {
  /** Throws or rejects as `parseResult` does, and with `overloaded` when too many large ones wait. */
  readResult(body: Uint8Array): ReadResult | Promise<ReadResult>
  /** The same for check-ins, as `parseCheckin`. */
  readCheckin(body: Uint8Array): ReadCheckin | Promise<ReadCheckin>
}

/** Makes a reader over threads that run `messageWorkerScript`. */
export function createMessageReader(threads: Pick<ThreadPool, 'run'>): MessageReader {
  return {
    readResult: (body) =>
      body.length <= LARGEST_INLINE
        ? readResult(body)
        : threads.run<ReadResult>({ kind: 'result', body } satisfies MessageTask),
    readCheckin: (body) =>
      body.length <= LARGEST_INLINE
        ? readCheckin(body)
        : threads.run<ReadCheckin>({ kind: 'checkin', body } satisfies MessageTask),
  }
}
