import type { Verb, VerbOption } from '../verb.ts'
import { timeOptions } from '../verb.ts'

const options: Readonly<Record<string, VerbOption>> = {
  after: { kind: 'text', value: 'ID', summary: 'only what came after this event', to: 'query' },
  type: { kind: 'text', summary: 'only this type, such as enrollment.rejected', to: 'query' },
}

const columns = [
  ['ID', 'id'],
  ['AT', 'at'],
  ['EVENT', 'type'],
  ['SERIAL', 'serial_number'],
  ['USER', 'user_name'],
  ['REASON', 'reason'],
] as const

/** Shows events as they come; done by the program itself. */
export const followEvents: Verb = {
  words: ['events', 'follow'],
  summary: 'Show events as they happen, until stopped',
  options,
  columns,
}

/** Verbs about events. */
export const eventVerbs: readonly Verb[] = [
  {
    words: ['events', 'list'],
    summary: 'List events, oldest first',
    options: { ...options, ...timeOptions('that happened') },
    call: { method: 'GET', path: '/events', paged: 'after' },
    columns,
  },
  followEvents,
]
