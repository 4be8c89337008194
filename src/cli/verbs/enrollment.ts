import { callVerb, inBody, inPath, inQuery, listVerb, searchOption, timeOptions, type Verb } from '../verb.ts'

const link = inPath('link', 'id of the link, or the beginning of it')
const attempt = inPath('attempt', 'id of the attempt or the beginning of it; of a serial number the newest')
const OUTCOMES = ['in_progress', 'enrolled', 'rejected', 'expired']

/** Verbs about how devices get in. */
export const enrollmentVerbs: readonly Verb[] = [
  callVerb('enrollment-links create', 'Make a link that enrols devices', 'POST /enrollment-links', {
    options: {
      uses: inBody('integer', 'how many devices may enrol through it', { value: 'N' }),
      'expires-at': inBody('time', 'when it ends'),
      user: inBody('text', 'user name of the person whose devices these are', { field: 'user_name' }),
      group: inBody('text', 'static group that its devices join', { field: 'group_id', of: 'group' }),
    },
  }),
  listVerb('enrollment-links list', 'List enrollment links', '/enrollment-links', {
    ID: 'id',
    USED: 'used',
    USES: 'uses',
    USER: 'user_name',
    EXPIRES: 'expires_at',
    REVOKED: 'revoked_at',
  }),
  callVerb('enrollment-links delete', 'Revoke an enrollment link', 'DELETE /enrollment-links/{id}', {
    arguments: [link],
    done: 'Revoked.',
  }),
  listVerb(
    'enrollment-attempts list',
    'List attempts to enrol, and why they failed',
    '/enrollment-attempts',
    {
      ID: 'id',
      STARTED: 'created_at',
      SERIAL: 'serial_number',
      USER: 'user_name',
      WAY: 'way',
      OUTCOME: 'outcome',
      REASON: 'reason',
    },
    {
      options: {
        'serial-number': inQuery('text', 'only of this serial number'),
        user: inQuery('text', 'only of this user', { field: 'user_name' }),
        outcome: inQuery('text', 'only with this outcome', { choices: OUTCOMES }),
        reason: inQuery('text', 'only with this reason code'),
        ...searchOption,
        ...timeOptions('begun'),
      },
    },
  ),
  callVerb('enrollment-attempts get', 'Show one attempt with its timeline', 'GET /enrollment-attempts/{id}', {
    arguments: [attempt],
  }),
]
