import { callVerb, inBody, inPath, inQuery, listVerb, type Verb, type VerbOption } from '../verb.ts'

const id = inPath('webhook', 'id, name or address of the webhook')

const fields: Readonly<Record<string, VerbOption>> = {
  type: inBody('text', 'only events of this type; repeat it for several', { field: 'types', multiple: true }),
  'secret-file': inBody('text_file', 'holds the secret (whsec_..., for NanoMDM any text)', {
    field: 'secret',
  }),
  enabled: inBody('boolean', 'whether events are sent'),
}

/** Verbs about where events are sent. */
export const webhookVerbs: readonly Verb[] = [
  callVerb(
    'webhooks create',
    'Have events sent to an address; shows its secret this once',
    'POST /webhooks',
    {
      arguments: [{ name: 'address', summary: 'where they are sent', to: 'body', field: 'url' }],
      options: {
        name: inBody('text', 'what it is called'),
        shape: inBody('text', 'what is sent (firstboot)', { choices: ['firstboot', 'nanomdm'] }),
        ...fields,
      },
    },
  ),
  listVerb('webhooks list', 'List webhooks', '/webhooks', {
    ID: 'id',
    NAME: 'name',
    URL: 'url',
    ENABLED: 'enabled',
    WAITING: 'waiting',
    DEAD: 'dead',
  }),
  callVerb('webhooks get', 'Show a webhook', 'GET /webhooks/{id}', { arguments: [id] }),
  callVerb('webhooks update', 'Change a webhook', 'PATCH /webhooks/{id}', {
    arguments: [id],
    options: {
      name: inBody('text', 'another name'),
      // `--url` is the server's own.
      address: inBody('text', 'where events are sent', { value: 'URL', field: 'url' }),
      ...fields,
      'previous-valid-hours': inBody('integer', 'with another secret: how long the one before signs too'),
    },
  }),
  callVerb('webhooks delete', 'Delete a webhook', 'DELETE /webhooks/{id}', {
    arguments: [id],
    done: 'Deleted.',
  }),
  callVerb(
    'webhooks test',
    'Send a webhook a message, and say what became of it',
    'POST /webhooks/{id}/test',
    {
      arguments: [id],
    },
  ),
  listVerb(
    'webhooks deliveries',
    'List what became of events at a webhook, newest first',
    '/webhooks/{id}/deliveries',
    {
      EVENT: 'event_id',
      TYPE: 'type',
      STATE: 'state',
      TRIES: 'tries',
      'LAST TRY': 'last_try_at',
      'NEXT TRY': 'next_try_at',
      ERROR: 'error',
    },
    {
      arguments: [id],
      options: {
        state: inQuery('text', 'only these', { choices: ['pending', 'delivered', 'failed', 'dead'] }),
      },
    },
  ),
  callVerb('webhooks replay', 'Send a webhook all events after one again', 'POST /webhooks/{id}/replay', {
    arguments: [id],
    options: { after: inBody('text', 'the event after which they come', { value: 'ID', required: true }) },
  }),
]
