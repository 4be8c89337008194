import type { Actor } from '../../../kernel/act.ts'
import { sha256 } from '../../../kernel/ids.ts'

/** What an entry of the audit trail tells. */
export interface Told {
  actor: Actor | null
  via: string | null
  /** Method and route; or what the server did by itself. */
  action: string
  object: { kind: string; id: string | null } | null
  before: unknown
  after: unknown
  address: string | null
  request_id: string | null
  outcome: 'done' | 'refused'
  /** Why it was refused, a code of the API's errors. */
  reason: string | null
  /** Types of the events that it made. */
  events: string[]
}

/** An entry as it is hashed; `previous` is the hash of the entry before it. */
export interface Entry extends Told {
  id: string
  at: string
  previous: string
}

/** An entry with its place in the chain. */
export interface Link {
  number: number
  at: Date
  entry: Entry
  content: string
  hash: string
}

/** The last entry. */
export interface Head {
  number: number
  hash: string
}

/** Before the first entry. */
export const NOTHING_BEFORE: Head = { number: 0, hash: '0'.repeat(64) }

/** The entry that follows the head; what is not told is null. */
export function linkAfter(head: Head, told: Partial<Told> & { action: string }, at: Date): Link {
  const number = head.number + 1
  const { actor = null, via = null, action, object = null, before = null, after = null } = told
  const { address = null, request_id = null, outcome = 'done', reason = null, events = [] } = told
  const entry: Entry = {
    id: String(number),
    at: at.toISOString(),
    ...{ actor, via, action, object, before, after, address, request_id, outcome, reason },
    events: [...new Set(events)],
    previous: head.hash,
  }
  const content = JSON.stringify(entry)
  return { number, at, entry, content, hash: hashOf(content) }
}

/** The hash of an entry's text. */
export function hashOf(content: string): string {
  return sha256(content).toString('hex')
}
