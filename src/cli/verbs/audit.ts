import { isRecord } from '../../kernel/records.ts'
import { callVerb, inQuery, listVerb, timeOptions, type Verb } from '../verb.ts'

const options = {
  actor: inQuery('text', 'only by this token or person: id or name', { value: 'WHO' }),
  action: inQuery('text', "only this, such as 'DELETE /users/{id}'"),
  object: inQuery('text', 'only about this: an id, or a kind such as users', { value: 'WHAT' }),
  outcome: inQuery('text', 'only what was done, or refused', { choices: ['done', 'refused'] }),
  ...timeOptions('that happened'),
}

/** Prints the audit trail as lines of JSON; done by the program itself, as it may be long. */
export const exportAudit: Verb = {
  words: ['audit'],
  summary: 'Print the audit trail, newest first, an entry in JSON on each line',
  options,
}

/** Verbs about the audit trail. */
export const auditVerbs: readonly Verb[] = [
  listVerb(
    'audit list',
    'List who did what, and who tried, newest first',
    '/audit',
    {
      NUMBER: 'id',
      AT: 'at',
      WHO: 'actor.name',
      ACTION: 'action',
      OBJECT: 'object.id',
      OUTCOME: 'outcome',
      REASON: 'reason',
    },
    { options },
  ),
  callVerb('audit check', 'Check whether the audit trail was changed by other means', 'GET /audit/check', {
    options: {
      anchor: inQuery('text', 'an entry that must be there, as audit.anchored told it', { value: 'N:HASH' }),
    },
    isPartial: (answer) => isRecord(answer) && answer['ok'] !== true,
  }),
  exportAudit,
]
