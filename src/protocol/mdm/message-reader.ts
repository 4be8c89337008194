import { extname } from 'node:path'
import { AppError, type ErrorCode } from '../../kernel/errors.ts'
import type { ThreadPool } from '../../kernel/threads.ts'
import type { InventoryKind } from './inventory.ts'
import type { MessageTask, Unreadable } from './message-worker.ts'
import { readPackedList, type ListPage } from './packed-list.ts'
import { LARGEST_INLINE, readCheckin, readResult, type ReadCheckin, type ReadResult } from './read-message.ts'
import { readReport, type Report } from './reports/read-report.ts'

/** The same of a packed list, which unfolds to some ten times as much. */
const LARGEST_INLINE_LIST = 32 * 1024

/** The script of the threads that read large messages, for `createThreadPool`. */
export const messageWorkerScript = new URL(`message-worker${extname(import.meta.filename)}`, import.meta.url)

/** Reads messages: small ones at once, large ones on another thread, to which they move (see `ReadBody.returned`). */
export type MessageReader = ReturnType<typeof createMessageReader>

/** A refusal of a message that was moved to another thread, with the body that came back. */
export class UnreadableMessage extends AppError {
  readonly body: Buffer

  constructor(code: ErrorCode, message: string, body: Buffer) {
    super(code, message)
    this.body = body
  }
}

/** What operators ask for is a lane of its own. */
const LISTS = 'lists'
/** What is taken into tables, too. */
const REPORTS = 'reports'

/** Makes a reader over threads that run `messageWorkerScript`. */
export function createMessageReader(threads: Pick<ThreadPool, 'run'>) {
  async function readElsewhere<T extends object>(
    kind: 'result' | 'checkin',
    given: Uint8Array,
    lane: string,
  ): Promise<T> {
    // Moved, not copied: a second copy of a large body costs time here and memory that the system is slow to get back.
    const body = ownsItsMemory(given) ? given : new Uint8Array(given)
    const options = { transfer: [body.buffer], lane, bytes: body.length }
    const read = withBuffers(await threads.run<T | Unreadable>({ kind, body } satisfies MessageTask, options))
    if (!('problem' in read)) return read
    const { problem, returned } = read
    throw new UnreadableMessage(problem.code, problem.message, returned as Buffer)
  }
  return {
    /**
     * Throws as `parseResult` does; rejects with an `UnreadableMessage` in its place, and with `overloaded` when too many large
     * ones wait. Those of one `sender` wait for each other, and others no longer than for one of them.
     */
    readResult: (body: Uint8Array, sender: string) =>
      body.length <= LARGEST_INLINE ? readResult(body) : readElsewhere<ReadResult>('result', body, sender),
    /** The same for check-ins, as `parseCheckin`. */
    readCheckin: (body: Uint8Array, sender: string) =>
      body.length <= LARGEST_INLINE ? readCheckin(body) : readElsewhere<ReadCheckin>('checkin', body, sender),
    /** A part of a packed list of JSON, see `readPackedList`. */
    readList: (packed: Uint8Array, { offset, limit }: { offset: number; limit: number }) =>
      packed.length <= LARGEST_INLINE_LIST
        ? readPackedList(packed, offset, limit)
        : threads.run<ListPage>({ kind: 'list', packed, offset, limit } satisfies MessageTask, {
            lane: LISTS,
            bytes: packed.length,
          }),
    /** What packed inventory tells, see `readReport`. */
    readReport: (kind: InventoryKind, packed: Uint8Array) =>
      packed.length <= LARGEST_INLINE_LIST
        ? readReport(kind, packed)
        : threads.run<Report>({ kind: 'report', of: kind, packed } satisfies MessageTask, {
            lane: REPORTS,
            bytes: packed.length,
          }),
  }
}

function ownsItsMemory(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
}

/** Makes buffers of the plain byte arrays that buffers become on their way between threads. */
function withBuffers<T extends object>(value: T): T {
  const members = Object.entries(value).map(([name, member]: [string, unknown]): [string, unknown] => {
    if (member instanceof Uint8Array) {
      return [name, Buffer.from(member.buffer, member.byteOffset, member.byteLength)]
    }
    return [name, typeof member === 'object' && member !== null ? withBuffers(member) : member]
  })
  return Object.fromEntries(members) as T
}
