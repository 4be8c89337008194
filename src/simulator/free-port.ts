import { createServer, type Server } from 'node:net'

/** Ports that no system gives to a client or to a server without a wish: they begin at 16000 or above. */
const FIRST = 10_000
const END = 16_000
/** Ports that a process takes at a time. */
const BLOCK = 20

/** What this process may still give away of its block. */
let next = 0
let end = 0

/**
 * A port of the loopback interface for a server that must know its address before it listens. It is given once in this
 * process, and to no other process that asks here: whoever listens on the first port of a block has the block, as long
 * as it lives.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    while (next === end) await takeBlock()
    const port = next++
    const probe = await listen(port)
    if (probe === undefined) continue
    await new Promise((resolve) => probe.close(resolve))
    return port
  }
}

async function takeBlock(): Promise<void> {
  const first = FIRST + BLOCK * Math.floor((Math.random() * (END - FIRST)) / BLOCK)
  const holder = await listen(first)
  if (holder === undefined) return
  holder.unref()
  next = first + 1
  end = first + BLOCK
}

/** Undefined: somebody else listens there. */
function listen(port: number): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined))
    server.listen({ host: '127.0.0.1', port }, () => resolve(server))
  })
}
