import { visible, type Output } from './terminal.ts'

/** What is done sooner says nothing on its way. */
const QUIET_MS = 2_000
/** Where lines stay: in a log, say. */
const LINE_EVERY_MS = 10_000
const SAME_LINE = '\r\u001b[K'

/** Says how far something is that takes its time: on a terminal in one line that changes, elsewhere in a line now and then. */
export interface Reporter {
  tell: (text: string) => void
  /** Nothing more is to be said; the line of a terminal is empty again. */
  end: () => void
}

/** A reporter that begins now; `now` in milliseconds. */
export function createReporter(output: Output, now: () => number = () => performance.now()): Reporter {
  const begun = now()
  const isTerminal = output.columns !== undefined
  let toldAt = -Infinity
  return {
    tell(text) {
      const time = now()
      if (time - begun < QUIET_MS || (!isTerminal && time - toldAt < LINE_EVERY_MS)) return
      toldAt = time
      const line = visible(text)
      output.write(
        isTerminal ? `${SAME_LINE}${line.slice(0, Math.max(1, (output.columns ?? 0) - 1))}` : `${line}\n`,
      )
    },
    end() {
      if (isTerminal && toldAt > -Infinity) output.write(SAME_LINE)
    },
  }
}
