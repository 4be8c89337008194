import { inQuery, timeOptions, type Verb } from '../verb.ts'

const options = {
  after: inQuery('text', 'only what came after this event', { value: 'ID' }),
  type: inQuery('text', 'only this type, such as enrollment.rejected'),
}

const columns = {
  ID: 'id',
  AT: 'at',
  EVENT: 'type',
  SERIAL: 'serial_number',
  USER: 'user_name',
  REASON: 'reason',
}

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
