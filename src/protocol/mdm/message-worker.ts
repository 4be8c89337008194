import { serveTasks } from '../../kernel/threads.ts'
import { readCheckin, readResult } from './read-message.ts'

/** What the message worker is asked. */
export interface MessageTask {
  kind: 'result' | 'checkin'
  body: Uint8Array
}

serveTasks(({ kind, body }: MessageTask) => {
  if (kind === 'checkin') {
    const read = readCheckin(body)
    return { result: read, transfer: [read.packed.buffer] }
  }
  const read = readResult(body)
  const transfer = [read.packed.buffer]
  if (read.inventory !== undefined) transfer.push(read.inventory.packed.buffer)
  return { result: read, transfer }
})
