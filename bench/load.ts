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

/** An answer; its body is valid until the next one comes. */
interface Answer {
  status: number
  body: Buffer
}

/** A connection that sends one request after the other. */
export interface Connection {
  /** Sends the whole bytes of a request. */
  send(request: Buffer): Promise<Answer>
  close(): void
}

/** Opens one, by the smallest HTTP/1.1 client that is right for our servers. */
export function openConnection(port: number): Connection {
  return new SmallClient(port)
}

class SmallClient {
  readonly #port: number
  #socket: Socket | undefined
  #buffered: Buffer = Buffer.alloc(0)
  #waiting: ((answer: Answer) => void) | undefined
  #failed: ((error: Error) => void) | undefined

  constructor(port: number) {
    this.#port = port
    this.#socket = this.#connect()
  }

  #connect(): Socket {
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true })
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      this.#buffered = Buffer.alloc(0)
      this.#failed?.(new Error('the server closed the connection'))
    })
    return socket
  }

  /** A server may close a connection that was idle, also in the moment when it is used again; then there is another one. */
  send(request: Buffer): Promise<Answer> {
    return this.#try(request).catch(() => this.#try(request))
  }

  #try(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = resolve
      this.#failed = reject
      this.#socket ??= this.#connect()
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#failed = undefined
    this.#socket?.destroy()
  }

  #take(chunk: Buffer): void {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk])
    const end = this.#buffered.indexOf(HEADERS_END)
    if (end === -1) return
    const head = this.#buffered.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#buffered.length < end + 4 + length) return
    const body = this.#buffered.subarray(end + 4, end + 4 + length)
    this.#buffered = this.#buffered.subarray(end + 4 + length)
    this.#waiting?.({ status: Number(head.slice(9, 12)), body })
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
      const connection = openConnection(port)
      for (let turn = 0; performance.now() < until; turn++) {
        const request = next(index, turn)
        if (request === undefined) break
        const before = performance.now()
        const { status } = await connection.send(request)
        if (status === 200) latencies.push(performance.now() - before)
        else failures++
      }
      connection.close()
    }),
  )
  const elapsed = (performance.now() - started) / 1000
  return { ...summary(latencies), seconds: elapsed, failures }
}

/**
 * Sends `perSecond` requests a second for `seconds`, as many devices do that know nothing of each other: on whichever
 * connection is free, and when none is, the wait counts as part of the answer's time.
 */
export async function paced(options: {
  port: number
  connections: number
  perSecond: number
  seconds: number
  next: (turn: number) => Buffer
}): Promise<LoadResult> {
  const { port, connections, perSecond, seconds, next } = options
  const all = Array.from({ length: connections }, () => openConnection(port))
  const free = [...all]
  const due: { request: Buffer; since: number }[] = []
  const latencies: number[] = []
  const running = new Set<Promise<void>>()
  let failures = 0

  async function work(connection: Connection): Promise<void> {
    for (let task = due.shift(); task !== undefined; task = due.shift()) {
      const { status } = await connection.send(task.request)
      latencies.push(performance.now() - task.since)
      if (status !== 200) failures++
    }
    free.push(connection)
  }

  const started = performance.now()
  const total = Math.round(perSecond * seconds)
  for (let turn = 0; turn < total; await new Promise((resolve) => setTimeout(resolve, 1))) {
    const since = performance.now()
    for (; turn < total && turn < ((since - started) / 1000) * perSecond; turn++) {
      due.push({ request: next(turn), since })
      const connection = free.pop()
      if (connection === undefined) continue
      const done = work(connection)
      running.add(done)
      const remove = () => void running.delete(done)
      done.then(remove, remove)
    }
  }
  await Promise.all(running)
  for (const connection of all) connection.close()
  return { ...summary(latencies), seconds: (performance.now() - started) / 1000, failures }
}

/** Percentiles of latencies in milliseconds. */
export function summary(latencies: number[]): Pick<LoadResult, 'requests' | 'p50' | 'p99' | 'max'> {
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { requests: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** The bytes of a PUT. */
export function put(path: string, contentType: string, signature: string, body: Buffer): Buffer {
  return bytesOf(`PUT ${path}`, { 'Content-Type': contentType, 'Mdm-Signature': signature }, body)
}

/** The bytes of a request; `line` is its method and path. */
export function bytesOf(line: string, headers: Record<string, string>, body: Buffer): Buffer {
  const all = { Host: 'bench', ...headers, 'Content-Length': String(body.length) }
  const fields = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`${line} HTTP/1.1\r\n${fields.join('')}\r\n`, 'latin1'), body])
}
