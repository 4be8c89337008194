import { AppError, type ErrorCode } from '../../kernel/errors.ts'
import { serveTasks } from '../../kernel/threads.ts'
import type { InventoryKind } from './inventory.ts'
import { readPackedList } from './packed-list.ts'
import { readCheckin, readResult } from './read-message.ts'
import { readReport } from './reports/read-report.ts'

/** What the message worker is asked. */
export type MessageTask =
  | { kind: 'result' | 'checkin'; body: Uint8Array<ArrayBuffer> }
  | { kind: 'list'; packed: Uint8Array; offset: number; limit: number }
  | { kind: 'report'; of: InventoryKind; packed: Uint8Array }

/** Why a message cannot be read, with its body. */
export interface Unreadable {
  problem: { code: ErrorCode; message: string }
  returned: Uint8Array<ArrayBuffer>
}

serveTasks((task: MessageTask) => {
  if (task.kind === 'list') return { result: readPackedList(task.packed, task.offset, task.limit) }
  if (task.kind === 'report') return { result: readReport(task.of, task.packed) }
  try {
    return read(task)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { code, message } = error
    const result: Unreadable = { problem: { code, message }, returned: task.body }
    return { result, transfer: [task.body.buffer] }
  }
})

function read(task: Extract<MessageTask, { body: unknown }>) {
  if (task.kind === 'checkin') {
    const message = readCheckin(task.body)
    return {
      result: { ...message, returned: task.body },
      transfer: [message.packed.buffer, task.body.buffer],
    }
  }
  const result = readResult(task.body)
  const transfer = [result.packed.buffer, task.body.buffer]
  if (result.inventory !== undefined) transfer.push(result.inventory.packed.buffer)
  return { result: { ...result, returned: task.body }, transfer }
}
