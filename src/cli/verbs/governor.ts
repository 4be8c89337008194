import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbArgument } from '../verb.ts'
import { callVerb, inPath, inQuery, listVerb, UsageError } from '../verb.ts'

const approval = inPath('approval', 'id of the approval or the beginning of it')
const why: VerbArgument = { name: 'reason', summary: 'why', to: 'body' }
const pairs: VerbArgument = {
  name: 'name=value',
  summary: 'such as erase.per_hour=3, above=refuse, undo_minutes=10; none = no limit',
  to: 'verb',
  multiple: true,
}

async function addLimits(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const acts: Record<string, Record<string, unknown>> = {}
  const body: Record<string, unknown> = {}
  for (const pair of given['name=value'] as string[]) {
    const [, act, name, text] = /^(?:([a-z_]+)\.)?([a-z_]+)=([a-z0-9]+)$/.exec(pair) ?? []
    if (name === undefined || text === undefined)
      throw new UsageError(`${JSON.stringify(pair)} is not name=value`, verb)
    const value = text === 'none' ? null : /^\d{1,15}$/.test(text) ? Number(text) : text
    if (act === undefined) body[name] = value
    else acts[act] = { ...acts[act], [name]: value }
  }
  return { ...call, body: { ...body, ...(Object.keys(acts).length > 0 && { acts }) } }
}

/** Verbs about acts that destroy something. */
export const governorVerbs: readonly Verb[] = [
  callVerb('governor get', 'Show the limits of acts that destroy something', 'GET /governor'),
  callVerb('governor set', 'Change these limits', 'PUT /governor', {
    arguments: [pairs],
    prepare: addLimits,
  }),
  callVerb(
    'governor stop',
    'Stop all that destroys something, and cancel what was not sent',
    'POST /governor/stop',
    { arguments: [why] },
  ),
  callVerb('governor resume', 'Let go on what was stopped', 'POST /governor/resume', { arguments: [why] }),
  listVerb(
    'approvals list',
    'List what waits, or waited, for a second person',
    '/approvals',
    { ID: 'id', ACT: 'act', DEVICES: 'device_count', STATE: 'state', EXPIRES: 'expires_at' },
    {
      options: {
        state: inQuery('text', 'only those in this state', {
          choices: ['waiting', 'approved', 'rejected', 'cancelled', 'expired'],
        }),
      },
    },
  ),
  callVerb('approvals get', 'Show one of them', 'GET /approvals/{id}', { arguments: [approval] }),
  callVerb('approvals approve', 'Approve an act: it is done', 'POST /approvals/{id}/approve', {
    arguments: [approval],
  }),
  callVerb('approvals reject', 'Reject an act', 'POST /approvals/{id}/reject', { arguments: [approval] }),
  callVerb('approvals cancel', 'Take an act back', 'POST /approvals/{id}/cancel', { arguments: [approval] }),
]
