import type { Verb, VerbArgument, VerbOption } from '../verb.ts'
import { searchOption, timeOptions } from '../verb.ts'

const link: VerbArgument = {
  ...{ name: 'id', to: 'path', of: 'link' },
  summary: 'id of the link, or the beginning of it',
}
const attempt: VerbArgument = {
  ...{ name: 'id', to: 'path', of: 'attempt' },
  summary: 'id of the attempt or the beginning of it; of a serial number the newest',
}
const filter = (summary: string, choices?: readonly string[]): VerbOption => ({
  kind: 'text',
  summary,
  to: 'query',
  ...(choices && { choices }),
})

/** Verbs about how devices get in. */
export const enrollmentVerbs: readonly Verb[] = [
  {
    words: ['enrollment-links', 'create'],
    summary: 'Make a link that enrols devices',
    options: {
      uses: { kind: 'integer', value: 'N', summary: 'how many devices may enrol through it', to: 'body' },
      'expires-at': { kind: 'time', value: 'TIME', summary: 'when it ends', to: 'body' },
      user: {
        kind: 'text',
        summary: 'user name of the person whose devices these are',
        to: 'body',
        field: 'user_name',
      },
      group: {
        ...{ kind: 'text', value: 'GROUP', to: 'body', field: 'group_id', of: 'group' },
        summary: 'static group that its devices join',
      },
    },
    call: { method: 'POST', path: '/enrollment-links' },
  },
  {
    words: ['enrollment-links', 'list'],
    summary: 'List enrollment links',
    call: { method: 'GET', path: '/enrollment-links', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['USED', 'used'],
      ['USES', 'uses'],
      ['USER', 'user_name'],
      ['EXPIRES', 'expires_at'],
      ['REVOKED', 'revoked_at'],
    ],
  },
  {
    words: ['enrollment-links', 'delete'],
    summary: 'Revoke an enrollment link',
    arguments: [link],
    call: { method: 'DELETE', path: '/enrollment-links/{id}' },
    done: 'Revoked.',
  },
  {
    words: ['enrollment-attempts', 'list'],
    summary: 'List attempts to enrol, and why they failed',
    options: {
      'serial-number': filter('only of this serial number'),
      user: { ...filter('only of this user'), field: 'user_name' },
      outcome: filter('only with this outcome', ['in_progress', 'enrolled', 'rejected', 'expired']),
      reason: filter('only with this reason code'),
      ...searchOption,
      ...timeOptions('begun'),
    },
    call: { method: 'GET', path: '/enrollment-attempts', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['STARTED', 'created_at'],
      ['SERIAL', 'serial_number'],
      ['USER', 'user_name'],
      ['WAY', 'way'],
      ['OUTCOME', 'outcome'],
      ['REASON', 'reason'],
    ],
  },
  {
    words: ['enrollment-attempts', 'get'],
    summary: 'Show one attempt with its timeline',
    arguments: [attempt],
    call: { method: 'GET', path: '/enrollment-attempts/{id}' },
  },
]
