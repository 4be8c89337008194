import { callVerb, inBody, inPath, listVerb, type Verb, type VerbOption } from '../verb.ts'

const id = inPath('sign-in source', 'id or name of the source')

const fields: Readonly<Record<string, VerbOption>> = {
  // `--url` is the server's own.
  endpoint: inBody('text', 'ws_trust: the UsernameMixed endpoint, or the MEX document that names it', {
    value: 'URL',
    field: 'url',
  }),
  'applies-to': inBody('text_or_none', 'ws_trust: the relying party', { value: 'URI' }),
  issuer: inBody('text', 'oidc: the issuer', { value: 'URL' }),
  'client-id': inBody('text', 'oidc: the client id', { value: 'ID' }),
  'client-secret-file': inBody('text_file', 'oidc: holds the client secret', { field: 'client_secret' }),
  scope: inBody('text', 'oidc: what is asked for; repeat it for several', {
    field: 'scopes',
    multiple: true,
  }),
  'user-name-claim': inBody('text_or_none', 'oidc: the claim that names the user', { value: 'CLAIM' }),
  'ca-file': inBody('text_file', 'CAs to trust for it besides the system’s, in PEM', { field: 'ca_pem' }),
  'create-users': inBody('boolean', 'whoever it vouches for becomes a user'),
  'links-existing-users': inBody(
    'boolean',
    'a first sign-in may become the user of that name who has a password or another link',
  ),
}
const kind = inBody('text', 'ws_trust or oidc', { required: true, choices: ['ws_trust', 'oidc'] })
const password = inBody('text_file', 'holds the password', { field: 'password', required: true })

/** Verbs about where people prove who they are. */
export const signInVerbs: readonly Verb[] = [
  callVerb('sign-in-sources create', 'Add a directory or an OpenID provider', 'POST /sign-in-sources', {
    arguments: [{ name: 'name', summary: 'its name', to: 'body' }],
    options: { kind, ...fields },
  }),
  listVerb('sign-in-sources list', 'List sign-in sources', '/sign-in-sources', {
    ID: 'id',
    NAME: 'name',
    KIND: 'kind',
    URL: 'url',
    ISSUER: 'issuer',
  }),
  callVerb('sign-in-sources get', 'Show a sign-in source', 'GET /sign-in-sources/{id}', { arguments: [id] }),
  callVerb('sign-in-sources update', 'Change a sign-in source', 'PATCH /sign-in-sources/{id}', {
    arguments: [id],
    options: { name: inBody('text', 'another name'), ...fields },
  }),
  callVerb(
    'sign-in-sources delete',
    'Delete a sign-in source that nothing names',
    'DELETE /sign-in-sources/{id}',
    {
      arguments: [id],
      done: 'Deleted.',
    },
  ),
  callVerb(
    'sign-in-sources test',
    'Try to sign somebody in, and say in plain words what happened',
    'POST /sign-in-sources/{id}/test',
    {
      arguments: [id, { name: 'user_name', summary: 'whose sign-in', to: 'body' }],
      options: { 'password-file': password },
    },
  ),
]
