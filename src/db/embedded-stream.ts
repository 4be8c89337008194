import { Duplex } from 'node:stream'

const TERMINATE = 0x58
/** Messages after which the client waits for an answer: Query, Sync, Flush, Terminate. */
const ENDS_A_ROUND = new Set([0x51, 0x53, 0x48, TERMINATE])

/** One session with the engine, as the stream below needs it. */
export type EngineSession = {
  /** Hands over whole client messages. */
  send(bytes: Uint8Array): void
  /** The stream is gone: nothing more is to be delivered. */
  end(): void
}

/** What `openSession` is given to reach the stream. */
export type EngineReceiver = { receive(bytes: Uint8Array): void; fail(error: Error): void }

/**
 * What the `pg` driver takes for a socket: the wire protocol's bytes go to the engine and come back. The engine wants
 * whole messages, a round at a time, so bytes are collected until a message that ends a round is complete.
 */
export function createEngineStream(
  openSession: (receiver: EngineReceiver) => Promise<EngineSession>,
): Duplex {
  let session: EngineSession | undefined
  let pending: Buffer = Buffer.alloc(0)
  let isStarted = false

  function forward(chunk: Buffer): void {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    const { end, isLast } = endOfRounds(pending, isStarted)
    if (isLast) return void stream.destroy()
    if (end === 0) return
    isStarted = true
    session?.send(pending.subarray(0, end))
    pending = pending.subarray(end)
  }

  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      forward(chunk)
      done()
    },
    writev(chunks, done) {
      forward(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)))
      done()
    },
    destroy(error, done) {
      session?.end()
      done(error)
    },
  })

  const receiver: EngineReceiver = {
    receive: (bytes) => void stream.push(bytes),
    fail: (error) => void stream.destroy(error),
  }

  function connect(): void {
    openSession(receiver).then(
      (opened) => {
        if (stream.destroyed) return opened.end()
        session = opened
        stream.emit('connect')
      },
      (error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  }
  const ignore = (): Duplex => stream
  return Object.assign(stream, {
    connect,
    setNoDelay: ignore,
    setKeepAlive: ignore,
    ref: ignore,
    unref: ignore,
  })
}

/** Where the last complete round ends; `isLast` when the client said goodbye in it. */
function endOfRounds(bytes: Buffer, isStarted: boolean): { end: number; isLast: boolean } {
  if (!isStarted) {
    const whole = bytes.length >= 4 && bytes.length >= bytes.readInt32BE(0)
    return { end: whole ? bytes.readInt32BE(0) : 0, isLast: false }
  }
  let end = 0
  let at = 0
  while (at + 5 <= bytes.length) {
    const next = at + 1 + bytes.readInt32BE(at + 1)
    if (next > bytes.length) break
    const type = bytes[at] ?? 0
    if (type === TERMINATE) return { end, isLast: true }
    if (ENDS_A_ROUND.has(type)) end = next
    at = next
  }
  return { end, isLast: false }
}
