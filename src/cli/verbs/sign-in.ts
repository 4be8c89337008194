import type { Verb, VerbArgument, VerbOption } from '../verb.ts'

const id: VerbArgument = { name: 'id', summary: 'id or name of the source', to: 'path', of: 'sign-in source' }

const fields: Readonly<Record<string, VerbOption>> = {
  // `--url` is the server's own.
  endpoint: {
    ...{ kind: 'text', value: 'URL', to: 'body', field: 'url' },
    summary: 'ws_trust: the UsernameMixed endpoint, or the MEX document that names it',
  },
  'applies-to': { kind: 'text_or_none', value: 'URI', summary: 'ws_trust: the relying party', to: 'body' },
  issuer: { kind: 'text', value: 'URL', summary: 'oidc: the issuer', to: 'body' },
  'client-id': { kind: 'text', value: 'ID', summary: 'oidc: the client id', to: 'body' },
  'client-secret-file': {
    ...{ kind: 'text_file', value: 'FILE', to: 'body', field: 'client_secret' },
    summary: 'oidc: holds the client secret',
  },
  scope: {
    ...{ kind: 'text', value: 'SCOPE', to: 'body', field: 'scopes', multiple: true },
    summary: 'oidc: what is asked for; repeat it for several',
  },
  'user-name-claim': {
    ...{ kind: 'text_or_none', value: 'CLAIM', to: 'body' },
    summary: 'oidc: the claim that names the user',
  },
  'ca-file': {
    ...{ kind: 'text_file', value: 'FILE', to: 'body', field: 'ca_pem' },
    summary: 'CAs to trust for it besides the system’s, in PEM',
  },
  'create-users': {
    ...{ kind: 'boolean', value: 'true|false', to: 'body' },
    summary: 'whoever it vouches for becomes a user',
  },
  'links-existing-users': {
    ...{ kind: 'boolean', value: 'true|false', to: 'body' },
    summary: 'a first sign-in may become the user of that name who has a password or another link',
  },
}

/** Verbs about where people prove who they are. */
export const signInVerbs: readonly Verb[] = [
  {
    words: ['sign-in-sources', 'create'],
    summary: 'Add a directory or an OpenID provider',
    arguments: [{ name: 'name', summary: 'its name', to: 'body' }],
    options: {
      kind: {
        ...{ kind: 'text', to: 'body', required: true, choices: ['ws_trust', 'oidc'] },
        summary: 'ws_trust or oidc',
      },
      ...fields,
    },
    call: { method: 'POST', path: '/sign-in-sources' },
  },
  {
    words: ['sign-in-sources', 'list'],
    summary: 'List sign-in sources',
    call: { method: 'GET', path: '/sign-in-sources', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['NAME', 'name'],
      ['KIND', 'kind'],
      ['URL', 'url'],
      ['ISSUER', 'issuer'],
    ],
  },
  {
    words: ['sign-in-sources', 'get'],
    summary: 'Show a sign-in source',
    arguments: [id],
    call: { method: 'GET', path: '/sign-in-sources/{id}' },
  },
  {
    words: ['sign-in-sources', 'update'],
    summary: 'Change a sign-in source',
    arguments: [id],
    options: { name: { kind: 'text', summary: 'another name', to: 'body' }, ...fields },
    call: { method: 'PATCH', path: '/sign-in-sources/{id}' },
  },
  {
    words: ['sign-in-sources', 'delete'],
    summary: 'Delete a sign-in source that nothing names',
    arguments: [id],
    call: { method: 'DELETE', path: '/sign-in-sources/{id}' },
    done: 'Deleted.',
  },
  {
    words: ['sign-in-sources', 'test'],
    summary: 'Try to sign somebody in, and say in plain words what happened',
    arguments: [id, { name: 'user_name', summary: 'whose sign-in', to: 'body' }],
    options: {
      'password-file': {
        ...{ kind: 'text_file', value: 'FILE', to: 'body', field: 'password', required: true },
        summary: 'holds the password',
      },
    },
    call: { method: 'POST', path: '/sign-in-sources/{id}/test' },
  },
]
