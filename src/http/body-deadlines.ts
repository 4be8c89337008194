import type { FastifyInstance } from 'fastify'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Ends connections whose request has not come whole in its time. Node's own limit holds for all requests alike; here a route
 * whose body may take long calls `request.allowLongBody()`, once it knows who sends it.
 */
export function boundBodies(
  app: FastifyInstance,
  options: { ms: number; checkMs: number; onLate: (socket: Socket) => void },
): void {
  /** The last request with a body on each connection, and when it began; those that are over go with the next sweep. */
  const open = new Map<Socket, { message: IncomingMessage; began: number }>()

  function sweep(): void {
    const latest = performance.now() - options.ms
    for (const [socket, { message, began }] of open) {
      const isOver = message.complete || message.destroyed
      if (!isOver && began > latest) continue
      open.delete(socket)
      if (!isOver) options.onLate(socket)
    }
  }

  const timer = setInterval(sweep, options.checkMs)
  timer.unref()
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer)
    done()
  })
  app.decorateRequest('allowLongBody', function () {
    open.delete(this.raw.socket)
  })
  // For each request of each device: nothing is done when it ends.
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    if (hasBody(raw)) open.set(raw.socket, { message: raw, began: performance.now() })
    done()
  })
}

function hasBody({ headers }: IncomingMessage): boolean {
  return (
    headers['transfer-encoding'] !== undefined ||
    (headers['content-length'] !== undefined && headers['content-length'] !== '0')
  )
}
