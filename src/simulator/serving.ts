import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'

/** Where a fake listens; on loopback, and on any free port, unless said otherwise. */
export interface Place {
  readonly host?: string
  readonly port?: number
}

/** Makes a server listen; gives its host and port as they stand in a URL. Rejects when it cannot. */
export async function listen(server: Server, { host = '127.0.0.1', port = 0 }: Place): Promise<string> {
  await once(server.listen(port, host), 'listening')
  return `${host}:${(server.address() as AddressInfo).port}`
}

/** Ends a server together with its connections. */
export async function stop(server: HttpServer): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
