import { AppError } from '../../kernel/errors.ts'
import { openConnection, type ApnsConnection, type ConnectionOptions } from './connection.ts'
import { buildApnsRequest, type ApnsPush, type ApnsRequest } from './request.ts'
import { endsConnection, readApnsAnswer, type ApnsOutcome } from './response.ts'
import { outcomeOfFailure, transportErrorOf } from './transport-error.ts'

const PUSH_TIMEOUT_MS = 10_000
/** How long a push may wait for a free stream before the caller gets it back. */
const LONGEST_QUEUED_MS = 60_000
/** A push that loses its connection goes on the next one, this many times in all. */
const MAX_PUSH_TRIES = 3
const FIRST_BACKOFF_MS = 1_000
const LONGEST_BACKOFF_MS = 60_000

/** Sends the pushes of one topic over one connection at a time. */
export interface ApnsSession {
  /** Never rejects: what goes wrong is an outcome. */
  push(push: ApnsPush): Promise<ApnsOutcome>
  /** Takes no more pushes; resolves when those it has are settled and the connection is closed. */
  close(): Promise<void>
}

interface Job {
  request: ApnsRequest
  queuedAt: number
  tries: number
  settle: (outcome: ApnsOutcome) => void
}

/**
 * One HTTP/2 session: connects when there is something to send, opens as many streams as Apple's SETTINGS allow, goes
 * over to a new connection after GOAWAY while the old one ends its streams, sends again what was not answered, and
 * backs off when no connection comes about (pushes in that time are `retry` at once).
 */
export function createApnsSession(options: ConnectionOptions): ApnsSession {
  const { clock } = options
  const now = () => clock.now().getTime()
  const waiting: Job[] = []
  const idlers: (() => void)[] = []
  let connection: ApnsConnection | undefined
  let isConnecting = false
  let isClosing = false
  let inFlight = 0
  const backOff = createBackOff(now)

  function pump(): void {
    while (waiting.length > 0) {
      if (!connection?.usable()) {
        const afterMs = backOff.leftMs()
        if (isConnecting || afterMs <= 0) return void connect()
        settleAll({ action: 'retry', reason: 'ConnectBackoff', afterMs })
        break
      }
      if (connection.room() <= 0) return
      const job = waiting.shift()
      if (job === undefined) return
      if (now() - job.queuedAt > LONGEST_QUEUED_MS) {
        job.settle({ action: 'retry', reason: 'QueueTimeout', afterMs: FIRST_BACKOFF_MS })
      } else void send(connection, job)
    }
    if (inFlight === 0) for (const wake of idlers.splice(0)) wake()
  }

  async function connect(): Promise<void> {
    if (isConnecting) return
    isConnecting = true
    try {
      connection = await openConnection(options, pump)
    } catch (error) {
      backOff.failed()
      settleAll(outcomeOfFailure(transportErrorOf(error, 'ConnectFailed'), backOff.leftMs()))
    }
    isConnecting = false
    pump()
  }

  async function send(on: ApnsConnection, job: Job): Promise<void> {
    inFlight += 1
    job.tries += 1
    try {
      const { status, apnsId, body } = await on.send(job.request, PUSH_TIMEOUT_MS)
      backOff.succeeded()
      const outcome = readApnsAnswer(status, apnsId, body)
      if (endsConnection(outcome)) on.close()
      job.settle(outcome)
    } catch (error) {
      afterFailure(on, job, error)
    } finally {
      inFlight -= 1
      pump()
    }
  }

  function afterFailure(on: ApnsConnection, job: Job, error: unknown): void {
    const failure = transportErrorOf(error, 'ConnectionLost')
    if (!on.usable() && on.answered() === 0 && on === connection) {
      connection = undefined
      backOff.failed()
    }
    const farewell = on.farewell()
    const afterMs = Math.max(FIRST_BACKOFF_MS, backOff.leftMs())
    const outcome = farewell?.action === 'config_error' ? farewell : outcomeOfFailure(failure, afterMs)
    const isFinal = outcome.action === 'config_error' || failure.reason === 'Timeout'
    if (isFinal || job.tries >= MAX_PUSH_TRIES) job.settle(outcome)
    else waiting.unshift(job)
  }

  function settleAll(outcome: ApnsOutcome): void {
    for (const job of waiting.splice(0)) job.settle(outcome)
  }

  return {
    push(push) {
      if (isClosing) return Promise.resolve({ action: 'retry', reason: 'SessionClosed', afterMs: 0 })
      return new Promise((resolve) => {
        try {
          waiting.push({ request: buildApnsRequest(push), queuedAt: now(), tries: 0, settle: resolve })
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          return resolve({ action: 'bug', reason: 'PushDataUnusable' })
        }
        pump()
      })
    },
    async close() {
      isClosing = true
      if (waiting.length > 0 || inFlight > 0) await new Promise<void>((resolve) => idlers.push(resolve))
      connection?.close()
      await connection?.ended
    },
  }
}

/** How long no connection is to be tried, after failures in a row. */
function createBackOff(now: () => number) {
  let failures = 0
  let until = 0
  return {
    /** Milliseconds that are left; none or less: a connection may be tried. */
    leftMs: () => until - now(),
    failed(): void {
      until = now() + Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures, 10))
      failures += 1
    },
    succeeded(): void {
      failures = 0
    },
  }
}
