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
export interface Ledger {
  find(commandUuid: string): CommandResult | undefined
  /** Notes the answer that is about to be sent. */
  answered(commandUuid: string, requestType: string, status: Answer['status']): CommandResult
  all(): CommandResult[]
  clear(): void
}

/** An empty ledger. */
export function createLedger(): Ledger {
  const results = new Map<string, CommandResult>()
  return {
    find: (commandUuid) => results.get(commandUuid),
    answered(commandUuid, requestType, status) {
      const times = (results.get(commandUuid)?.times ?? 0) + 1
      const result = { commandUuid, requestType, status, acknowledged: false, times }
      results.set(commandUuid, result)
      return result
    },
    all: () => [...results.values()],
    clear: () => results.clear(),
  }
}
