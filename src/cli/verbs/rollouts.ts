import type { ApiCall } from '../client.ts'
import type { Input, Verb } from '../verb.ts'
import { callVerb, forVerb, inBody, inPath, inQuery, listVerb, UsageError } from '../verb.ts'

const id = inPath('rollout', 'id of the rollout, or the beginning of it')
const profile = forVerb('text', 'a profile: its id, name or identifier', { of: 'profile' })
const app = forVerb('text', 'an app: its id, name or bundle identifier', { of: 'app' })

/** What is released, and its rings: groups first, then shares of all devices. */
async function addRings(call: ApiCall, { body, verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const { profile: ofProfile, app: ofApp, percent, group = [] } = given
  if ((ofProfile === undefined) === (ofApp === undefined))
    throw new UsageError('one of --profile and --app is needed', verb)
  const thing = ofProfile === undefined ? { kind: 'app', id: ofApp } : { kind: 'profile', id: ofProfile }
  const rings = [
    ...(group as string[]).map((group_id) => ({ group_id })),
    ...sharesOf(percent, verb).map((share) => ({ percent: share })),
  ]
  if (rings.length === 0) throw new UsageError('--percent or --group is missing', verb)
  return { ...call, body: { ...thing, ...body, rings } }
}

function sharesOf(given: unknown, verb: Verb): number[] {
  if (typeof given !== 'string') return []
  return given.split(',').map((text) => {
    const share = text.trim() === '' ? NaN : Number(text)
    if (!(share > 0 && share <= 100))
      throw new UsageError(`--percent: ${JSON.stringify(given)} is not shares such as 1,10,100`, verb)
    return share
  })
}

/** Only the rollouts of one thing. */
async function addThing(call: ApiCall, { verb: given }: Input): Promise<ApiCall> {
  const thing_id = given['profile'] ?? given['app']
  return typeof thing_id === 'string' ? { ...call, query: { ...call.query, thing_id } } : call
}

/** Verbs about revisions that are released in rings. */
export const rolloutVerbs: readonly Verb[] = [
  callVerb('rollouts start', 'Release a revision in rings', 'POST /rollouts', {
    options: {
      profile,
      app,
      revision: inBody('integer', 'which (default: the newest)', { value: 'N' }),
      group: forVerb('text', 'a ring: the members of this group; repeat it for several', {
        multiple: true,
        of: 'group',
      }),
      percent: forVerb('text', 'the rings after these: shares of all devices, such as 1,10,100', {
        value: 'N,N,...',
      }),
      'advance-after': inBody('integer', 'minutes after which the next ring follows (default: by hand)', {
        value: 'N',
        field: 'advance_after_minutes',
      }),
      'halt-at': inBody('integer', 'it halts when so many percent have failed (default 10)', {
        value: 'N',
        field: 'halt_at_failure_percent',
      }),
      'halt-minimum': inBody('integer', 'and at least so many devices (default 3)', { value: 'N' }),
    },
    prepare: addRings,
  }),
  listVerb(
    'rollouts list',
    'List rollouts, newest first',
    '/rollouts',
    {
      ID: 'id',
      KIND: 'kind',
      THING: 'thing_id',
      REVISION: 'revision',
      STATE: 'state',
      REASON: 'reason',
      RING: 'ring',
    },
    {
      options: {
        kind: inQuery('text', 'only of these', { choices: ['profile', 'app'] }),
        profile,
        app,
      },
      prepare: addThing,
    },
  ),
  callVerb('rollouts get', 'Show a rollout, counted by ring', 'GET /rollouts/{id}', { arguments: [id] }),
  callVerb('rollouts advance', 'Go on to the next ring', 'POST /rollouts/{id}/advance', { arguments: [id] }),
  callVerb('rollouts halt', 'Halt: nobody else gets it', 'POST /rollouts/{id}/halt', { arguments: [id] }),
  callVerb('rollouts resume', 'Go on with a halted rollout', 'POST /rollouts/{id}/resume', {
    arguments: [id],
  }),
  callVerb(
    'rollouts roll-back',
    'Give all devices the revision of before again',
    'POST /rollouts/{id}/roll-back',
    { arguments: [id] },
  ),
]
