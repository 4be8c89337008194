import { readInputFile } from '../arguments.ts'
import type { ApiCall } from '../client.ts'
import type { Input, Verb } from '../verb.ts'

const DER_SEQUENCE = 0x30

const put: Verb = {
  words: ['push-certificates', 'put'],
  summary: 'Store the push certificate with its key',
  arguments: [
    {
      name: 'file',
      summary: 'PEM file(s) with certificate and key, or one PKCS#12 file',
      to: 'verb',
      multiple: true,
    },
  ],
  options: {
    'apple-id': { kind: 'text', summary: 'the Apple Account that it was made with', to: 'query' },
    'password-file': {
      ...{ kind: 'text_file', value: 'FILE', to: 'verb', field: 'password' },
      summary: 'holds the password of the PKCS#12 file',
    },
    force: { kind: 'flag', summary: 'even if its topic is another than the one in use', to: 'query' },
  },
  call: { method: 'PUT', path: '/push-certificates' },
  prepare: addCertificate,
}

async function addCertificate(call: ApiCall, { verb }: Input): Promise<ApiCall> {
  const names = verb['file'] as string[]
  const files = await Promise.all(names.map((name) => readInputFile(name, 'file', put)))
  const [first] = files
  if (first?.[0] !== DER_SEQUENCE) {
    const pem = Buffer.concat(files.flatMap((file) => [file, Buffer.from('\n')]))
    return { ...call, body: pem, contentType: 'application/x-pem-file' }
  }
  return { ...call, body: { pkcs12: first.toString('base64'), password: verb['password'] ?? '' } }
}

/** Verbs about push certificates. */
export const pushCertificateVerbs: readonly Verb[] = [
  put,
  {
    words: ['push-certificates', 'list'],
    summary: 'List push certificates',
    call: { method: 'GET', path: '/push-certificates', paged: 'cursor' },
    columns: [
      ['TOPIC', 'topic'],
      ['VALID UNTIL', 'not_after'],
      ['APPLE ID', 'apple_id'],
    ],
  },
  {
    words: ['push-certificates', 'get'],
    summary: 'Show a push certificate',
    arguments: [
      { name: 'topic', summary: 'com.apple.mgmt...., or the beginning of it', to: 'path', of: 'topic' },
    ],
    call: { method: 'GET', path: '/push-certificates/{topic}' },
  },
]
