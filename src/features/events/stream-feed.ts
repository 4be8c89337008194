import type { Readable } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { renderEvent } from './api.ts'
import type { EventType } from './catalogue.ts'
import type { Events } from './events.ts'
import type { PublishedEvent } from './types.ts'

/** Events read at a time, for all streams that have seen all before, and for one that has not. */
const LIVE_PAGE = 500
const CATCH_UP_PAGE = 200
/** Streams that read at the same time what they have not seen yet. */
const READERS = 3

/** One reader of events. */
export interface Stream {
  body: Readable
  type: EventType | undefined
  /** All events up to this one are sent, or not of its type. */
  position: number
  isReading: boolean
  /** Since when its reader takes nothing; undefined = there is room. */
  fullSince: number | undefined
  /** When it was sent something last. */
  saidAt: number
}

/**
 * What brings events to streams. One reader of the database reads what is new for all of them. A stream that begins in the past, or
 * whose reader is slow, reads by itself until it has seen all that the others have.
 */
export function createFeed<S extends Stream>(deps: {
  clock: Clock
  log: Log
  events: Pick<Events, 'list' | 'bounds'>
}) {
  const { clock, log, events } = deps
  const open = new Set<S>()
  // Those that have seen all up to `position`.
  const live = new Set<S>()
  const inTurn = createTurns(READERS)
  let position = 0

  /** Sends what is new to all that have seen the rest. */
  async function feed(): Promise<void> {
    for (let count = LIVE_PAGE; count === LIVE_PAGE && open.size > 0;) {
      if (live.size === 0) {
        position = Math.max(position, (await events.bounds()).newest)
        break
      }
      const page = await events.list({ after: position, limit: LIVE_PAGE })
      count = page.length
      sendToLive(page)
    }
    for (const stream of open) catchUp(stream)
  }

  function sendToLive(page: readonly PublishedEvent[]): void {
    if (page.length === 0) return
    const before = position
    position = page.at(-1)?.id ?? position
    const rendered = new Map<EventType | undefined, Buffer>()
    for (const stream of live) {
      const { type, position: seen } = stream
      const isBehind = seen <= before
      const known = isBehind ? rendered.get(type) : undefined
      const bytes = known ?? render(page, { type, after: seen })
      if (isBehind) rendered.set(type, bytes)
      stream.position = Math.max(seen, position)
      send(stream, bytes)
    }
  }

  function send(stream: S, bytes: Buffer): void {
    if (bytes.length === 0 || !open.has(stream)) return
    stream.saidAt = clock.now().getTime()
    if (stream.body.push(bytes)) return
    stream.fullSince ??= clock.now().getTime()
    live.delete(stream)
  }

  /** Has a stream read what it has not seen, as soon as one more may read. */
  function catchUp(stream: S): void {
    if (stream.isReading || live.has(stream) || stream.fullSince !== undefined) return
    stream.isReading = true
    inTurn(async () => {
      await readOnce(stream)
      stream.isReading = false
      if (open.has(stream)) catchUp(stream)
    })
  }

  /** Sends a stream one page of what it has not seen; it is live when that was all. */
  async function readOnce(stream: S): Promise<void> {
    const { type, position: after } = stream
    try {
      if (after < position) {
        const upTo = position
        const page = await events.list({ after, type, limit: CATCH_UP_PAGE })
        const last = page.at(-1)?.id ?? after
        stream.position = page.length < CATCH_UP_PAGE ? Math.max(last, upTo) : last
        send(stream, render(page, { type, after }))
      }
      const isReady = open.has(stream) && stream.fullSince === undefined && stream.position >= position
      if (isReady) live.add(stream)
    } catch (error) {
      // Its reader connects again, and is told then what is wrong.
      log.info({ event: 'events.stream_cut', err: error }, 'a stream of events was ended')
      cut(stream)
    }
  }

  const forget = (stream: S) => [open, live].forEach((streams) => streams.delete(stream))

  function cut(stream: S): void {
    forget(stream)
    stream.body.destroy()
  }

  return {
    /** All streams; one that is added has not seen what came after its position. */
    open: open as ReadonlySet<S>,
    add(stream: S, newest: number): void {
      if (live.size === 0) position = Math.max(position, newest)
      open.add(stream)
    },
    ...{ feed, catchUp, send, forget, cut },
  }
}

/** Has tasks, which never fail, run in their turn, so many at a time. */
function createTurns(width: number): (task: () => Promise<void>) => void {
  const waiting: (() => Promise<void>)[] = []
  let running = 0
  const next = (): void => {
    const task = running < width ? waiting.shift() : undefined
    if (task === undefined) return
    running += 1
    void task().finally(() => {
      running -= 1
      next()
    })
  }
  return (task) => {
    waiting.push(task)
    next()
  }
}

/** The events of a type after a position, as a stream has them. */
function render(page: readonly PublishedEvent[], of: { type: string | undefined; after: number }): Buffer {
  const wanted = page.filter(({ id, type }) => id > of.after && (of.type === undefined || type === of.type))
  const texts = wanted.map((event) => `id: ${event.id}\ndata: ${JSON.stringify(renderEvent(event))}\n\n`)
  return Buffer.from(texts.join(''))
}
