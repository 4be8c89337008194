import { hash } from 'node:crypto'
import { parseCheckin, type CheckinMessage } from './checkin.ts'
import { extractInventory, type Inventory } from './inventory.ts'
import { packBytes } from './pack.ts'
import { parseResult, type CommandResult } from './result.ts'

/** Largest body, in bytes, that is read on the calling thread: a millisecond or two. */
export const LARGEST_INLINE = 256 * 1024

/** A message body as it is kept. */
interface ReadBody {
  /** The body: see `packBytes`. */
  packed: Buffer<ArrayBuffer>
  /** The body, when it was moved to another thread and back: the one that was given is empty then. */
  returned?: Buffer<ArrayBuffer>
}

/** Inventory whose data is packed JSON. */
interface ReadInventory extends Omit<Inventory, 'data'> {
  /** See `packBytes`. */
  packed: Buffer<ArrayBuffer>
}

/** A message to the command endpoint, in a form that is cheap to hand from one thread to another. */
export interface ReadResult extends ReadBody, Omit<CommandResult, 'raw' | 'errorChain'> {
  /** JSON of an `ErrorChainItem[]`. */
  errorChain?: string
  /** What an acknowledged result tells about the device. */
  inventory?: ReadInventory
}

type WithoutRaw<Message> = Message extends unknown ? Omit<Message, 'raw'> : never

/** A check-in message in such a form: without the raw dictionary. */
export interface ReadCheckin extends ReadBody {
  message: WithoutRaw<CheckinMessage>
  /** Of the body. */
  sha256: Buffer<ArrayBuffer>
}

/** Reads a message to the command endpoint on this thread. Throws as `parseResult` does. */
export function readResult(body: Uint8Array): ReadResult {
  const { raw, errorChain, ...envelope } = parseResult(body)
  const inventory = envelope.status === 'Acknowledged' ? extractInventory(raw) : undefined
  const result: ReadResult = { ...envelope, packed: packBytes(body) }
  if (errorChain !== undefined) result.errorChain = JSON.stringify(errorChain)
  if (inventory !== undefined) result.inventory = packInventory(inventory)
  return result
}

function packInventory({ data, ...rest }: Inventory): ReadInventory {
  return { ...rest, packed: packBytes(Buffer.from(JSON.stringify(data))) }
}

/** Reads a check-in message on this thread. Throws as `parseCheckin` does. */
export function readCheckin(body: Uint8Array): ReadCheckin {
  const { raw: _, ...message } = parseCheckin(body)
  return { message, packed: packBytes(body), sha256: hash('sha256', body, 'buffer') }
}
