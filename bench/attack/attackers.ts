import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

/** What the thread is to do, at 50 a second, from the loopback address 127.0.0.2 and so on. */
export interface AttackWork {
  port: number
  perSecond: number
  seconds: number
  /** Addresses that it comes from. */
  addresses: number
  kind:
    | { is: 'requests'; requests: Uint8Array[] }
    /** `size` bytes of a body, but for the last one; so many connections at a time, kept as long as the server lets them. */
    | { is: 'held'; heads: Uint8Array[]; size: number; most: number }
    /** Connections that say nothing more than the bytes given, all at once and again when they are ended. */
    | { is: 'idle'; hello: Uint8Array; most: number }
    /** Forms of the sign-in page, each address with the cookie and the token that it was given; else only looks at pages. */
    | { is: 'forms'; bodies: string[]; looks: Uint8Array[] }
}

/** How often each status was answered; `cut` is a connection that ended without one, `open` one that was left at the end. */
export type AttackReport = Record<string, number>

const { port, perSecond, seconds, addresses, kind } = workerData as AttackWork
const CHUNK = Buffer.alloc(64 * 1024, 'A')
/** More requests than this are not under way at the same time: what comes then is not sent, and counted as such. */
const MOST_OPEN = 1_000

const counts: AttackReport = {}
const sockets = new Set<Socket>()
let turn = 0
/** Those of the acts that were due by the time. */
let paced = 0

const note = (what: string) => void (counts[what] = (counts[what] ?? 0) + 1)
const addressOf = (n: number) => `127.0.0.${2 + (n % addresses)}`

/** A connection whose first answer is counted; `done` gets what was answered. */
function open(
  from: number,
  speak: (socket: Socket) => void,
  done: (answer: string) => void = () => undefined,
): void {
  if (sockets.size >= MOST_OPEN) return note('not sent')
  const socket = connect({ host: '127.0.0.1', port, localAddress: addressOf(from) })
  sockets.add(socket)
  let answer = ''
  socket.on('data', (bytes: Buffer) => {
    if (answer.length < 32_000) answer += bytes.toString('latin1')
    // Who has been answered goes on with the next one; only forms need the whole page.
    if (kind.is !== 'forms') socket.destroy()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (!sockets.delete(socket)) return
    note(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 'cut')
    done(answer)
  })
  socket.on('connect', () => speak(socket))
}

/** Writes all of a body but its last byte, as fast as it is taken. */
function hold(socket: Socket, head: Uint8Array, size: number): void {
  socket.write(head)
  let left = size - 1
  const more = () => {
    while (left > 0) {
      const piece = left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left)
      left -= piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', more)
  more()
}

/** The cookie and the token of each address. */
const forms = new Map<string, { cookie: string; token: string }>()

function look(from: number, request: Uint8Array): void {
  open(
    from,
    (socket) => socket.write(request),
    (answer) => {
      const cookie = /^set-cookie: ([^;\r]+)/im.exec(answer)?.[1]
      const token = /name="csrf_token" value="([^"]+)"/.exec(answer)?.[1]
      if (cookie !== undefined && token !== undefined) forms.set(addressOf(from), { cookie, token })
    },
  )
}

function submit(from: number, { cookie, token }: { cookie: string; token: string }, body: string): void {
  const text = `csrf_token=${encodeURIComponent(token)}&${body}`
  const head = [
    'POST /enroll HTTP/1.1',
    'Host: bench',
    'Connection: close',
    `Cookie: ${cookie}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${text.length}`,
  ]
  open(from, (socket) => socket.write(`${head.join('\r\n')}\r\n\r\n${text}`))
}

function act(): void {
  const n = turn++
  if (kind.is === 'requests') {
    const request = kind.requests[n % kind.requests.length]!
    open(n, (socket) => socket.write(request))
  } else if (kind.is === 'held') {
    if (sockets.size < kind.most)
      open(n, (socket) => hold(socket, kind.heads[n % kind.heads.length]!, kind.size))
  } else if (kind.is === 'idle') {
    if (sockets.size < kind.most) open(n, (socket) => kind.hello.length > 0 && socket.write(kind.hello))
  } else {
    const form = forms.get(addressOf(n))
    const isLook = form === undefined || (kind.looks.length > 1 && n % 2 === 0)
    if (isLook) look(n, kind.looks[form === undefined ? 0 : n % kind.looks.length]!)
    else submit(n, form, kind.bodies[n % kind.bodies.length]!)
  }
}

if (kind.is === 'idle') for (let n = 0; n < kind.most; n++) act()
const started = performance.now()
const timer = setInterval(() => {
  const elapsed = (performance.now() - started) / 1000
  for (let due = Math.min(elapsed, seconds) * perSecond - paced; due >= 1; due--, paced++) act()
  if (elapsed < seconds) return
  clearInterval(timer)
  if (sockets.size > 0) counts['open'] = sockets.size
  for (const socket of [...sockets]) {
    sockets.delete(socket)
    socket.destroy()
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, this is a thread
  parentPort?.postMessage(counts)
}, 10)
