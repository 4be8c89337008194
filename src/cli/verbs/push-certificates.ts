import { readInputFile } from '../arguments.ts'
import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbArgument } from '../verb.ts'
import { callVerb, forVerb, inPath, inQuery, listVerb } from '../verb.ts'

const DER_SEQUENCE = 0x30

const file: VerbArgument = {
  name: 'file',
  summary: 'PEM file(s) with certificate and key, or one PKCS#12 file',
  to: 'verb',
  multiple: true,
}
const topic = inPath('topic', 'com.apple.mgmt...., or the beginning of it', 'topic')

async function addCertificate(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const names = given['file'] as string[]
  const files = await Promise.all(names.map((name) => readInputFile(name, 'file', verb)))
  const [first] = files
  if (first?.[0] !== DER_SEQUENCE) {
    const pem = Buffer.concat(files.flatMap((each) => [each, Buffer.from('\n')]))
    return { ...call, body: pem, contentType: 'application/x-pem-file' }
  }
  return { ...call, body: { pkcs12: first.toString('base64'), password: given['password'] ?? '' } }
}

async function addPem(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const body = await readInputFile(String(given['file']), 'file', verb)
  return { ...call, body, contentType: 'application/x-pem-file' }
}

async function addVendor(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const read = async (option: string) => {
    const name = given[option.replaceAll('-', '_')]
    return typeof name === 'string' ? (await readInputFile(name, option, verb)).toString() : undefined
  }
  const vendor_certificates = await read('vendor-certificates')
  const vendor_key = await read('vendor-key')
  return { ...call, body: { vendor_certificates, vendor_key } }
}

const storeOptions = {
  'apple-id': inQuery('text', 'the Apple Account that it was made with'),
  force: inQuery('flag', 'even if its topic is another than the one in use'),
}
const requestId = inPath('push certificate request', 'id of the request, or the beginning of it')

/** Verbs about push certificates. */
export const pushCertificateVerbs: readonly Verb[] = [
  callVerb('push-certificates put', 'Store the push certificate with its key', 'PUT /push-certificates', {
    arguments: [file],
    options: {
      ...storeOptions,
      'password-file': forVerb('text_file', 'holds the password of the PKCS#12 file', { field: 'password' }),
    },
    prepare: addCertificate,
  }),
  listVerb('push-certificates list', 'List push certificates', '/push-certificates', {
    TOPIC: 'topic',
    'VALID UNTIL': 'not_after',
    'APPLE ID': 'apple_id',
  }),
  callVerb('push-certificates get', 'Show a push certificate', 'GET /push-certificates/{topic}', {
    arguments: [topic],
  }),
  callVerb(
    'push-certificate-requests create',
    'Make a key and a request for a push certificate',
    'POST /push-certificate-requests',
    {
      options: {
        'vendor-certificates': forVerb('text', "the vendor's certificate up to Apple's root, PEM", {
          value: 'FILE',
        }),
        'vendor-key': forVerb('text', "the vendor's key, PEM; it signs, and is not kept", { value: 'FILE' }),
      },
      fileIn: ['upload', 'csr_pem'],
      prepare: addVendor,
    },
  ),
  listVerb(
    'push-certificate-requests list',
    'List requests for push certificates',
    '/push-certificate-requests',
    { ID: 'id', MADE: 'created_at', TOPIC: 'topic' },
  ),
  callVerb(
    'push-certificate-requests get',
    'Show a request for a push certificate',
    'GET /push-certificate-requests/{id}',
    { arguments: [requestId], fileIn: ['upload', 'csr_pem'] },
  ),
  callVerb(
    'push-certificate-requests put',
    'Store the certificate that Apple gave for a request',
    'PUT /push-certificate-requests/{id}/certificate',
    {
      arguments: [requestId, { name: 'file', summary: 'the PEM file from Apple', to: 'verb' }],
      options: storeOptions,
      prepare: addPem,
    },
  ),
]
