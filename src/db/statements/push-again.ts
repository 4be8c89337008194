// When a device that should have come for a command is pushed for again: minutes from the last time that it was sent the
// command, said NotNow, or was pushed for; the last number counts from then on.

const AFTER_NOT_NOW = [15, 60, 6 * 60, 24 * 60]
const AFTER_PUSH = [30, 4 * 60, 24 * 60]

/** Minutes after a command was queued, or went out. */
export const FIRST_PUSH_AGAIN_MINUTES = 5

/** The time from a delivery that goes out to the next push, in SQL. */
export const AFTER_SENT = minutes(FIRST_PUSH_AGAIN_MINUTES)

/** The time from a NotNow to the next push, in SQL; `count` is how many came before. */
export const afterNotNow = (count: string) => schedule(AFTER_NOT_NOW, count)

/** The time from a push that brought nothing to the next one, in SQL; `count` is how many such were before. */
export const afterPush = (count: string) => schedule(AFTER_PUSH, count)

function schedule(steps: readonly number[], count: string): string {
  const early = steps.slice(0, -1).map((step, n) => `when ${n} then ${minutes(step)}`)
  return `case ${count} ${early.join(' ')} else ${minutes(steps.at(-1) ?? 0)} end`
}

function minutes(number: number): string {
  return `interval '${number} minutes'`
}
