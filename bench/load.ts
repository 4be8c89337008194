import { connect, type Socket } from 'node:net'

/** What came of a run of requests. */
export interface LoadResult {
  requests: number
  seconds: number
  /** Milliseconds. */
  p50: number
  p99: number
  max: number
  /** Answers with another status than 200. */
  failures: number
}

const HEADERS_END = Buffer.from('\r\n\r\n')

/** A connection that sends one request after the other; the smallest HTTP/1.1 client that is right for our servers. */
class Connection {
  readonly #socket: Socket
  #buffered: Buffer = Buffer.alloc(0)
  #waiting: ((status: number) => void) | undefined
  #failed: ((error: Error) => void) | undefined

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.on('data', (chunk) => this.#take(chunk))
    this.#socket.on('error', (error) => this.#failed?.(error))
    this.#socket.on('close', () => this.#failed?.(new Error('the server closed the connection')))
  }

  send(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting = resolve
      this.#failed = reject
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#failed = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk])
    const end = this.#buffered.indexOf(HEADERS_END)
    if (end === -1) return
    const head = this.#buffered.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#buffered.length < end + 4 + length) return
    this.#buffered = this.#buffered.subarray(end + 4 + length)
    this.#waiting?.(Number(head.slice(9, 12)))
  }
}

/**
 * Runs `connections` connections for `seconds`, or until `next` has nothing more for any of them. `next` gives the
 * whole bytes of the next request of a connection.
 */
export async function load(options: {
  port: number
  connections: number
  seconds: number
  next: (connection: number, turn: number) => Buffer | undefined
}): Promise<LoadResult> {
  const { port, connections, seconds, next } = options
  const latencies: number[] = []
  let failures = 0
  const started = performance.now()
  const until = started + seconds * 1000
  await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const connection = new Connection(port)
      for (let turn = 0; performance.now() < until; turn++) {
        const request = next(index, turn)
        if (request === undefined) break
        const before = performance.now()
        const status = await connection.send(request)
        latencies.push(performance.now() - before)
        if (status !== 200) failures++
      }
      connection.close()
    }),
  )
  const elapsed = (performance.now() - started) / 1000
  return { ...summary(latencies), seconds: elapsed, failures }
}

/** Percentiles of latencies in milliseconds. */
export function summary(latencies: number[]): Pick<LoadResult, 'requests' | 'p50' | 'p99' | 'max'> {
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { requests: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** The bytes of a PUT. */
export function put(path: string, contentType: string, signature: string, body: Buffer): Buffer {
  const head = `PUT ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: ${contentType}\r\nMdm-Signature: ${signature}\r\nContent-Length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}
