import { openInputFile } from '../arguments.ts'
import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbArgument } from '../verb.ts'
import { callVerb, inBody, inPath, inQuery, listVerb } from '../verb.ts'
import { retryVerb, statusVerb } from './deliveries.ts'

const id = inPath('profile', 'id, name or identifier of the profile')
const file: VerbArgument = { name: 'file', summary: 'the .mobileconfig file', to: 'verb' }
const force = inQuery('flag', 'even if it would replace the management or identity of its devices')
const rollout = inQuery('flag', 'store the revision only: nobody gets it before a rollout does')

async function addProfile(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const body = await openInputFile(String(given['file']), 'file', verb)
  return { ...call, body, contentType: 'application/x-apple-aspen-config' }
}

/** Verbs about configuration profiles. */
export const profileVerbs: readonly Verb[] = [
  callVerb('profiles upload', 'Upload a configuration profile', 'POST /profiles', {
    arguments: [file],
    options: { name: inQuery('text', 'what it is called here (default: its own name)'), force },
    prepare: addProfile,
  }),
  listVerb(
    'profiles list',
    'List configuration profiles',
    '/profiles',
    {
      ID: 'id',
      NAME: 'name',
      IDENTIFIER: 'identifier',
      REVISION: 'revision',
      RELEASED: 'released_revision',
    },
    {
      options: {
        name: inQuery('text', 'only those of this name'),
        identifier: inQuery('text', 'only those with this PayloadIdentifier'),
      },
    },
  ),
  callVerb('profiles get', 'Show a profile', 'GET /profiles/{id}', { arguments: [id] }),
  callVerb('profiles replace', 'Upload the next revision of a profile', 'PUT /profiles/{id}', {
    arguments: [id, file],
    options: { rollout, force },
    prepare: addProfile,
  }),
  callVerb('profiles content', 'Print a profile as it was uploaded', 'GET /profiles/{id}/content', {
    arguments: [id],
    options: { revision: inQuery('integer', 'which revision (default: the newest)', { value: 'N' }) },
    isFile: true,
  }),
  listVerb(
    'profiles revisions',
    'List the revisions of a profile, newest first',
    '/profiles/{id}/revisions',
    {
      REVISION: 'revision',
      RELEASED: 'released',
      NAME: 'display_name',
      BYTES: 'size',
      CREATED: 'created_at',
    },
    { arguments: [id] },
  ),
  callVerb('profiles rename', 'Rename a profile', 'PATCH /profiles/{id}', {
    arguments: [id, { name: 'name', summary: 'the new name', to: 'body' }],
  }),
  callVerb('profiles delete', 'Delete a profile that no group delivers', 'DELETE /profiles/{id}', {
    arguments: [id],
    done: 'Deleted.',
  }),
  statusVerb('profiles', 'profile'),
  retryVerb('profiles', 'profile'),
  // The value comes from a file or a pipe: what stands on a command line, others see.
  callVerb('secrets put', 'Set a secret that profiles and apps name', 'PUT /secrets/{name}', {
    arguments: [{ name: 'name', summary: 'its name, as in {{secret.NAME}}', to: 'path' }],
    options: {
      'value-file': inBody('text_file', 'holds the value; - is what comes in', {
        field: 'value',
        required: true,
      }),
    },
  }),
  listVerb('secrets list', 'List secrets, without their values', '/secrets', {
    NAME: 'name',
    CREATED: 'created_at',
    UPDATED: 'updated_at',
  }),
  callVerb('secrets delete', 'Delete a secret that nothing names', 'DELETE /secrets/{name}', {
    arguments: [{ name: 'name', summary: 'its name', to: 'path' }],
    done: 'Deleted.',
  }),
]
