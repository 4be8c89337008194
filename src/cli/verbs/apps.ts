import { openInputFile } from '../arguments.ts'
import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbOption } from '../verb.ts'
import { callVerb, inBody, inPath, inQuery, listVerb, UsageError } from '../verb.ts'
import { retryVerb, statusVerb } from './deliveries.ts'

const id = inPath('app', 'id, name or bundle identifier of the app')
const rollout = inQuery('flag', 'store the revision only: nobody gets it before a rollout does')

const fields: Readonly<Record<string, VerbOption>> = {
  'manifest-url': inBody('text_or_none', 'where devices fetch the manifest of an enterprise app', {
    value: 'URL',
  }),
  identifier: inBody('text', 'bundle identifier, where you know it', { value: 'BUNDLE_ID' }),
  'remove-with-enrollment': inBody('boolean', 'it goes when the enrollment does (default true)'),
  'prevent-backup': inBody('boolean', 'its data are left out of backups'),
  'take-over': inBody('boolean', 'one that the person installed becomes a managed one'),
  'device-licence': inBody('boolean', 'a store app comes by a licence of the device'),
  'min-os-version': inBody('text_or_none', 'devices with an older OS wait', { value: 'VERSION' }),
  configuration: inBody('document', 'managed configuration, with variables'),
}

/** Without a number of the App Store it is an app of one's own. */
async function addKind(call: ApiCall, { body }: Input, verb: Verb): Promise<ApiCall> {
  const isStore = body['itunes_store_id'] !== undefined
  if (isStore && body['manifest_url'] !== undefined)
    throw new UsageError('--store-id and --manifest-url do not go together', verb)
  return { ...call, body: { kind: isStore ? 'store' : 'enterprise', ...body } }
}

async function addPackage(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const body = await openInputFile(String(given['file']), 'file', verb)
  return { ...call, body, contentType: 'application/octet-stream' }
}

/** Verbs about apps. */
export const appVerbs: readonly Verb[] = [
  callVerb('apps create', 'Add an app of the App Store, or one of your own', 'POST /apps', {
    arguments: [{ name: 'name', summary: 'what it is called here', to: 'body' }],
    options: {
      'store-id': inBody('integer', 'its number in the App Store; without it, it is your own', {
        value: 'N',
        field: 'itunes_store_id',
      }),
      ...fields,
    },
    prepare: addKind,
  }),
  callVerb('apps upload', 'Upload the package (IPA) of an app of your own', 'PUT /apps/{id}/package', {
    arguments: [id, { name: 'file', summary: 'the .ipa file', to: 'verb' }],
    options: { rollout },
    prepare: addPackage,
  }),
  listVerb(
    'apps list',
    'List apps',
    '/apps',
    {
      ID: 'id',
      NAME: 'name',
      KIND: 'kind',
      IDENTIFIER: 'identifier',
      REVISION: 'revision',
      RELEASED: 'released_revision',
      VERSION: 'package.short_version',
    },
    {
      options: {
        kind: inQuery('text', 'only this kind', { choices: ['store', 'enterprise'] }),
        name: inQuery('text', 'only those of this name'),
      },
    },
  ),
  callVerb('apps get', 'Show an app', 'GET /apps/{id}', { arguments: [id] }),
  callVerb('apps update', 'Change an app; what is left out stays', 'PATCH /apps/{id}', {
    arguments: [id],
    options: { name: inBody('text', 'another name'), ...fields, rollout },
  }),
  listVerb(
    'apps revisions',
    'List the revisions of an app, newest first',
    '/apps/{id}/revisions',
    {
      REVISION: 'revision',
      RELEASED: 'is_released',
      VERSION: 'package.version',
      MANIFEST: 'manifest_url',
      CREATED: 'created_at',
    },
    { arguments: [id] },
  ),
  callVerb('apps delete', 'Delete an app that no group delivers', 'DELETE /apps/{id}', {
    arguments: [id],
    done: 'Deleted.',
  }),
  statusVerb('apps', 'app'),
  retryVerb('apps', 'app'),
]
