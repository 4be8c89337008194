import { serveTasks } from '../../kernel/threads.ts'
import { readPackedList } from './packed-list.ts'
import { readCheckin, readResult } from './read-message.ts'

/** What the message worker is asked. */
export type MessageTask =
  | { kind: 'result' | 'checkin'; body: Uint8Array<ArrayBuffer> }
  | { kind: 'list'; packed: Uint8Array; offset: number; limit: number }

serveTasks((task: MessageTask) => {
  if (task.kind === 'list') return { result: readPackedList(task.packed, task.offset, task.limit) }
  if (task.kind === 'checkin') {
    const read = readCheckin(task.body)
    return { result: { ...read, returned: task.body }, transfer: [read.packed.buffer, task.body.buffer] }
  }
  const read = readResult(task.body)
  const transfer = [read.packed.buffer, task.body.buffer]
  if (read.inventory !== undefined) transfer.push(read.inventory.packed.buffer)
  return { result: { ...read, returned: task.body }, transfer }
})
