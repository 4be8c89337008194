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

/** Verbs about push certificates. */
export const pushCertificateVerbs: readonly Verb[] = [
  callVerb('push-certificates put', 'Store the push certificate with its key', 'PUT /push-certificates', {
    arguments: [file],
    options: {
      'apple-id': inQuery('text', 'the Apple Account that it was made with'),
      'password-file': forVerb('text_file', 'holds the password of the PKCS#12 file', { field: 'password' }),
      force: inQuery('flag', 'even if its topic is another than the one in use'),
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
]
