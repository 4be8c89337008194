import type { Clock } from '../../kernel/clock.ts'
import type { AppleServer } from './organization.ts'

/** A call as it came and how it was answered. */
export interface AdeCall {
  readonly at: Date
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Whose session it was; undefined when none was accepted. */
  server: string | undefined
  /** What was answered; 0 when the connection was cut. */
  status: number
  /** The error word. */
  code: string | undefined
  serialNumbers: readonly string[]
  profileUuid: string | undefined
}

/** Ways in which a client breaks Apple's rules or good manners. */
type AdeViolationKind =
  /** More than 1,000 serial numbers, or a serial number twice, in a call. */
  | 'too_many_serials'
  | 'serial_twice'
  | 'wrong_protocol_version'
  | 'header_missing'
  | 'oauth_invalid'
  /** Sessions that are given up after one call, although they were good. */
  | 'session_per_call'
  | 'session_missing'
  | 'unknown_call'
  | 'body_invalid'
  | 'profile_invalid'
  | 'profile_unknown'
  /** The very same profile defined a second time. */
  | 'profile_repeated'
  /** A profile assigned to a device that has it already, or removed from one without. */
  | 'assignment_repeated'
  /** A call while Retry-After has not passed, or a serial number before its `retry_after_seconds`. */
  | 'called_too_early'
  /** Pages of a server fetched by two at the same time. */
  | 'pages_at_once'

/** A breach, and in which call, in words. */
interface AdeViolation {
  kind: AdeViolationKind
  at: Date
  detail: string
}

/** Called for every breach. */
export type ReportAdeViolation = (kind: AdeViolationKind, detail: string) => void

/** The records of a fake cloud. */
export type AdeWatch = ReturnType<typeof createAdeWatch>

/** Empty records. */
export function createAdeWatch(clock: Clock) {
  const calls: AdeCall[] = []
  const violations: AdeViolation[] = []
  const quietUntil = new Map<AppleServer, number>()
  const paging = new Set<AppleServer>()
  const report: ReportAdeViolation = (kind, detail) => void violations.push({ kind, at: clock.now(), detail })
  return {
    calls,
    violations,
    report,
    /** A record that is filled in while the call is answered. */
    begin(method: string, path: string): AdeCall {
      const call: AdeCall = {
        at: clock.now(),
        method,
        path,
        server: undefined,
        status: 0,
        code: undefined,
        serialNumbers: [],
        profileUuid: undefined,
      }
      calls.push(call)
      return call
    },
    /** How often each `METHOD /path` was called. */
    counts() {
      const counts: Record<string, number> = {}
      for (const { method, path } of calls) {
        const key = `${method} ${path}`
        counts[key] = (counts[key] ?? 0) + 1
      }
      return counts
    },
    /** The server was told to wait so many seconds. */
    pause: (server: AppleServer, seconds: number) =>
      void quietUntil.set(server, clock.now().getTime() + seconds * 1_000),
    /** A call of that server comes: is it allowed to? */
    checkPause(server: AppleServer, what: string) {
      const left = (quietUntil.get(server) ?? 0) - clock.now().getTime()
      if (left > 0) report('called_too_early', `${what}: ${left} ms before Retry-After has passed`)
    },
    /** A page is being made; gives the end of it. */
    beginPage(server: AppleServer) {
      if (paging.has(server)) report('pages_at_once', `two clients page through ${server.name}`)
      paging.add(server)
      return () => void paging.delete(server)
    },
  }
}
