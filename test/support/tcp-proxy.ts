import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { freePort } from '../../src/simulator/index.ts'

/** A way to a server that a test can cut, mute and restore. */
export type TcpProxy = {
  port: number
  /** Ends all connections and refuses new ones. */
  cut(): Promise<void>
  /** Takes connections and bytes, and lets nothing through: a frozen host. */
  mute(): void
  /** As at the beginning. Connections that were mute stay so. */
  restore(): Promise<void>
}

/** Listens on a free port of the loopback interface and passes everything on to the port of a local server. */
export async function tcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let isMute = false
  const port = await freePort()
  let server = await listen()

  function listen(): Promise<Server> {
    const opened = createServer(accept)
    return new Promise((resolve, reject) => {
      opened.once('error', reject)
      opened.listen(port, '127.0.0.1', () => {
        resolve(opened)
      })
    })
  }

  function accept(client: Socket): void {
    const target = isMute ? undefined : connect(targetPort, '127.0.0.1')
    for (const socket of target ? [client, target] : [client]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
    }
    if (target === undefined) return
    client.on('data', (bytes) => isMute || target.write(bytes))
    target.on('data', (bytes) => isMute || client.write(bytes))
    client.on('close', () => target.destroy())
    target.on('close', () => client.destroy())
  }

  return {
    port,
    async cut() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
    mute() {
      isMute = true
    },
    async restore() {
      isMute = false
      if (!server.listening) server = await listen()
    },
  }
}
