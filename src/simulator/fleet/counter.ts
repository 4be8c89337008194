import type { Answer } from '../device/commands/answers.ts'
import type { EnrollmentOutcome } from '../device/enrollment.ts'
import type { SessionReport } from '../device/session.ts'
import type { Violation } from '../wire/violations.ts'

/** Counts what happens in a fleet. */
export type FleetCounter = ReturnType<typeof createFleetCounter>

/** An empty counter. */
export function createFleetCounter() {
  const violations: Violation[] = []
  const stats = {
    enrolled: 0,
    /** Enrollments that ended otherwise, by `step: reason`. */
    refused: {} as Record<string, number>,
    sessions: 0,
    /** Results that the server acknowledged. */
    results: { Acknowledged: 0, Error: 0, CommandFormatError: 0, NotNow: 0 },
    /** Sessions, messages and enrollments cut short because the server was away or busy. */
    lost: 0,
    pushes: 0,
    /** Milliseconds from a push to the end of the session that it caused. */
    pushToAnswer: [] as number[],
    removed: 0,
    erased: 0,
    /** Errors of the simulator itself; none, if it is right. */
    faults: [] as string[],
  }
  return {
    /** What the fleet has been through so far. */
    stats,
    violations,
    enrollment(outcome: EnrollmentOutcome) {
      if (outcome.enrolled) stats.enrolled++
      else if (outcome.lost) stats.lost++
      else increment(stats.refused, `${outcome.step}: ${outcome.reason}`)
    },
    session({ end, results }: SessionReport) {
      stats.sessions++
      for (const status of Object.keys(results) as Answer['status'][])
        stats.results[status] += results[status]
      if (end === 'later') stats.lost++
      if (end === 'erased') stats.erased++
      if (end === 'removed' || end === 'unmanaged') stats.removed++
    },
    /** A push to a token that no device of the fleet ever gave. */
    strayPush: (at: Date) =>
      void violations.push({ kind: 'push_unknown_token', at, serialNumber: '', detail: 'of no device here' }),
  }
}

function increment(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1
}
