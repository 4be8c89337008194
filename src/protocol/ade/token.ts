import { AppError } from '../../kernel/errors.ts'
import { parseRecord } from '../../kernel/records.ts'
import { envelop, openEnvelope, unwrapKey, type ContentCipher } from '../cms/index.ts'
import { createLeaf, validity, type Certificate, type HashName, type Identity } from '../x509/index.ts'
import { parseTime } from './answer-values.ts'
import type { OAuthCredentials } from './oauth.ts'
import { extractMessage } from './token-file.ts'

/** Apple's server token: the credentials of one MDM server of Apple's portal. */
export interface ServerToken extends OAuthCredentials {
  readonly expiresAt: Date
}

const KEY_DAYS = 2 * 365
const MAX_VALUE = 1024
const MARKER = '-----BEGIN MESSAGE-----'

/**
 * Makes the key to which Apple encrypts a server token, with its self-signed certificate: RSA-2048, two years. The
 * certificate in PEM is what Apple's portal takes as public key.
 */
export async function createTokenKeyPair(options: { name: string; now: Date }): Promise<Identity> {
  return createLeaf({
    subject: [['CN', options.name]],
    ...validity(options.now, KEY_DAYS),
    keyUsage: ['digitalSignature', 'keyEncipherment'],
  })
}

/**
 * Opens the server token file (`.p7m`) with whichever of our keys it was made for, and says which one that was. Taken are
 * S/MIME with or without its headers, PEM and plain DER; 3DES or AES; PKCS#1 v1.5 or OAEP. Refuses `token_not_smime`,
 * `token_for_another_key` and `token_incomplete`; whether `expiresAt` has passed is for the caller to judge.
 */
export async function openServerToken(
  file: Uint8Array,
  keys: readonly Identity[],
): Promise<ServerToken & { readonly keyIndex: number }> {
  const message = extractMessage(file)
  for (const [keyIndex, identity] of keys.entries()) {
    const content = await openFor(message, identity)
    if (content !== undefined) return { ...readToken(content), keyIndex }
  }
  throw new AppError(
    'token_for_another_key',
    'The file was made for another encryption key: download the one of this server, give it to Apple, and get a new token.',
  )
}

/** Makes the file that Apple's portal gives for an uploaded certificate. */
export function sealServerToken(
  token: ServerToken,
  certificate: Certificate,
  options: { cipher?: ContentCipher; oaepHash?: HashName } = {},
): string {
  const json = JSON.stringify({
    consumer_key: token.consumerKey,
    consumer_secret: token.consumerSecret,
    access_token: token.accessToken,
    access_secret: token.accessSecret,
    access_token_expiry: token.expiresAt.toISOString().replace(/\.\d+Z$/, 'Z'),
  })
  const inner = [
    'Content-Type: text/plain;charset=UTF-8',
    'Content-Transfer-Encoding: 7bit',
    '',
    MARKER,
    json,
    '-----END MESSAGE-----',
    '',
  ]
  const { cipher = 'des-ede3-cbc', oaepHash } = options
  const envelope = envelop(Buffer.from(inner.join('\r\n')), {
    recipient: certificate,
    cipher,
    ...(oaepHash && { oaepHash }),
  })
  return [
    'Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data',
    'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment; filename="smime.p7m"',
    'Content-Description: S/MIME Encrypted Message',
    '',
    ...(envelope.toString('base64').match(/.{1,76}/g) ?? []),
    '',
  ].join('\r\n')
}

/** The content, or undefined when it is for another key. */
async function openFor(message: Buffer, identity: Identity): Promise<Buffer | undefined> {
  try {
    // On this thread: it is one key a year, and an administrator's own file.
    const unwrap = (request: Parameters<typeof unwrapKey>[0]) => Promise.resolve(unwrapKey(request))
    return (await openEnvelope(message, { identity, unwrap })).content
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'cms_invalid') throw error
    if (error.fields[0]?.path === 'recipient') return undefined
    throw new AppError('token_not_smime', `The server token file cannot be read: ${error.message}.`, {
      cause: error,
    })
  }
}

/** The JSON may be wrapped over lines anywhere, indented or not, within its texts too, where a bare line end is never part of JSON. */
function readToken(content: Buffer): ServerToken {
  const whole = content.toString('utf8')
  const marker = whole.indexOf(MARKER)
  const text = (marker === -1 ? whole : whole.slice(marker)).replace(/[\r\n]+[ \t]*/g, '')
  const json = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)
  const fields = parseRecord(json)
  if (fields === undefined)
    throw new AppError('token_not_smime', 'The server token file holds no JSON object.')
  return pickToken(fields)
}

function pickToken(fields: Record<string, unknown>): ServerToken {
  const missing: string[] = []
  const take = (name: string): string => {
    const value = fields[name]
    if (typeof value === 'string' && value !== '' && value.length <= MAX_VALUE) return value
    missing.push(name)
    return ''
  }
  const token = {
    consumerKey: take('consumer_key'),
    consumerSecret: take('consumer_secret'),
    accessToken: take('access_token'),
    accessSecret: take('access_secret'),
  }
  const expiresAt = parseTime(take('access_token_expiry'))
  if (missing.length > 0) {
    throw new AppError('token_incomplete', `The server token lacks ${missing.join(', ')}.`)
  }
  if (expiresAt === undefined) {
    throw new AppError('token_incomplete', 'The access_token_expiry of the server token is no date.')
  }
  return { ...token, expiresAt }
}
