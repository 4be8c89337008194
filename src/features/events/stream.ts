import { Readable } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Log } from '../../kernel/log.ts'
import { createPassLoop } from '../../kernel/pass-loop.ts'
import type { EventType } from './catalogue.ts'
import { checkKept, type Events } from './events.ts'
import { createFeed, type Stream } from './stream-feed.ts'

/** Streams that one process serves. */
const MAX_STREAMS = 2_000
/** What waits for a reader in memory; more is read again from the database when there is room. */
const BUFFER_BYTES = 64 * 1024
const TICK_MS = 5_000
const HEARTBEAT_MS = 15_000
/** How often it is asked whether a stream may go on, and how long the last yes holds when nobody can say. */
const CHECK_MS = 10_000
const ALLOWED_MS = 20_000
/** A reader that takes nothing for so long is cut off. */
const STALLED_MS = 60_000
/** What a client is told to wait before it connects again. */
const RETRY_MS = 2_000

/** Who reads, from where on, and what. */
interface StreamRequest {
  /** The last event that is known; undefined = it begins now. */
  after: number | undefined
  type: EventType | undefined
  /** Whether the caller may still read. */
  isAllowed: () => Promise<boolean>
}

interface Watched extends Stream {
  isAllowed: () => Promise<boolean>
  checkedAt: number
  allowedAt: number
}

/** The live streams of events. */
export type EventStreams = ReturnType<typeof createEventStreams>

/**
 * Server-sent events (WHATWG HTML, section 9.2) to any number of readers, with heartbeats, until their callers may read no more.
 */
export function createEventStreams(deps: {
  clock: Clock
  log: Log
  events: Pick<Events, 'list' | 'bounds' | 'onPublished'>
}) {
  const { clock, log, events } = deps
  const { open, add, feed, catchUp, send, forget, cut } = createFeed<Watched>(deps)
  let isClosed = false
  let stopTicks: (() => void) | undefined
  const passes = createPassLoop({
    clock,
    debounceMs: 0,
    pass: feed,
    onFailure: (error) =>
      log.warn({ event: 'events.stream_failed', err: error }, 'new events could not be read for streams'),
  })
  events.onPublished([], () => {
    if (open.size > 0) passes.wake()
  })

  const now = () => clock.now().getTime()

  /** Heartbeats, and the end of streams that may not go on or that nobody reads. */
  function tick(): void {
    stopTicks = open.size === 0 ? undefined : clock.after(TICK_MS, tick)
    for (const stream of open) {
      const { fullSince, saidAt, checkedAt } = stream
      if (fullSince !== undefined && now() - fullSince >= STALLED_MS) cut(stream)
      else if (fullSince === undefined && now() - saidAt >= HEARTBEAT_MS)
        send(stream, Buffer.from(`: heartbeat\nid: ${stream.position}\n\n`))
      if (now() - checkedAt >= CHECK_MS) void check(stream)
    }
  }

  async function check(stream: Watched): Promise<void> {
    const at = now()
    stream.checkedAt = at
    const isAllowed = await stream.isAllowed().catch(() => undefined)
    if (isAllowed === true) stream.allowedAt = at
    else if (isAllowed === false || at - stream.allowedAt > ALLOWED_MS) end(stream)
  }

  function end(stream: Watched): void {
    if (stream.fullSince !== undefined) return cut(stream)
    forget(stream)
    stream.body.push(null)
  }

  return {
    /**
     * Opens a stream. Throws AppError `cursor_gone` when what came after its position is kept no more, `invalid_request` when the
     * position is after all events, `overloaded` when there are too many streams or the server stops.
     */
    async open({ after, type, isAllowed }: StreamRequest): Promise<Readable> {
      const bounds = await events.bounds()
      if (after !== undefined && after > bounds.newest)
        throw new AppError(
          'invalid_request',
          `There is no event ${after} yet; the newest is ${bounds.newest}.`,
        )
      if (after !== undefined) checkKept(after, bounds)
      if (isClosed) throw new AppError('overloaded')
      if (open.size >= MAX_STREAMS)
        throw new AppError('overloaded', `${MAX_STREAMS} streams of events are open already.`)
      const at = now()
      const stream: Watched = {
        ...{ type, isAllowed, position: after ?? bounds.newest, isReading: false, fullSince: undefined },
        ...{ saidAt: at, checkedAt: at, allowedAt: at },
        body: new Readable({
          highWaterMark: BUFFER_BYTES,
          read() {
            stream.fullSince = undefined
            if (open.has(stream)) catchUp(stream)
          },
        }),
      }
      stream.body.on('close', () => forget(stream))
      add(stream, bounds.newest)
      stopTicks ??= clock.after(TICK_MS, tick)
      const head = `: events after ${stream.position}\nretry: ${RETRY_MS}\nid: ${stream.position}\n\n`
      send(stream, Buffer.from(head))
      catchUp(stream)
      return stream.body
    },
    /** Job: sends what other processes have published. */
    run: (): Promise<void> => (open.size === 0 ? Promise.resolve() : passes.run()),
    /** Ends all streams and opens none any more. */
    async close(): Promise<void> {
      isClosed = true
      stopTicks?.()
      for (const stream of open) end(stream)
      await passes.close()
    },
  }
}
