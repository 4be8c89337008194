import type { Answer } from './answers.ts'

/** A command that a channel was given and what it said to it. */
export interface CommandResult {
  commandUuid: string
  requestType: string
  status: Answer['status']
  /** The server answered this result with 200, so it must never ask for the command again. */
  acknowledged: boolean
  /** How often it was given. */
  times: number
}

/** What a channel remembers of its commands, across sessions. */
export type Ledger = ReturnType<typeof createLedger>

/** An empty ledger. */
export function createLedger() {
  const results = new Map<string, CommandResult>()
  return {
    find: (commandUuid: string) => results.get(commandUuid),
    /** Notes the answer that is about to be sent. */
    answered(commandUuid: string, requestType: string, status: Answer['status']): CommandResult {
      const times = (results.get(commandUuid)?.times ?? 0) + 1
      const result = { commandUuid, requestType, status, acknowledged: false, times }
      results.set(commandUuid, result)
      return result
    },
    all: () => [...results.values()],
    clear: () => results.clear(),
  }
}
