import type { KeyObject } from 'node:crypto'
import { unwrapKey } from '../../src/protocol/cms/unwrap-key.ts'
import type { ContentCipher } from '../../src/protocol/cms/index.ts'
import { buildRequest, parseCertRep, type CertRep } from '../../src/protocol/scep/index.ts'
import {
  createCsr,
  createLeaf,
  parseCertificate,
  type HashName,
  type Identity,
} from '../../src/protocol/x509/index.ts'
import type { IdentityServer } from './identity-server.ts'
import { TEST_VALIDITY } from './identities.ts'
import { testKey } from './keys.ts'

/** What a SCEP client may do differently from the usual. */
export interface ScepRequest {
  challenge?: string
  key?: KeyObject
  type?: 'PKCSReq' | 'RenewalReq' | 'UpdateReq' | 'CertPoll'
  /** Default: a self-signed certificate of the moment. */
  signer?: Identity
  transactionId?: string
  senderNonce?: Buffer
  cipher?: ContentCipher
  hash?: HashName
  /** The CSR in the place of a right one. */
  csr?: Buffer
  /** What is done to the message before it is sent. */
  tamper?: (message: Buffer) => Buffer
  by?: 'post' | 'octets' | 'get' | 'get-spaces' | 'get-url-safe'
}

/** Sends a request to the server's `/scep` and gives the HTTP answer and, for 200, the CertRep. */
export async function scepRequest(server: IdentityServer, options: ScepRequest = {}) {
  const {
    key = testKey('device'),
    transactionId = 'TX-1',
    type = 'PKCSReq',
    tamper = (bytes) => bytes,
  } = options
  const identity = options.signer ?? (await momentary(key))
  const { challenge: challengePassword } = options
  const content =
    options.csr ??
    (await createCsr({
      key,
      subject: [['CN', 'whatever the client likes']],
      ...(challengePassword !== undefined && { challengePassword }),
    }))
  const message = await buildRequest({
    type,
    content,
    ca: await caOf(server),
    signer: identity,
    transactionId,
    ...(options.senderNonce && { senderNonce: options.senderNonce }),
    ...(options.cipher && { cipher: options.cipher }),
    ...(options.hash && { hash: options.hash }),
  })
  const response = await send(server, tamper(message), options.by ?? 'post')
  const unwrap = (request: Parameters<typeof unwrapKey>[0]) => Promise.resolve(unwrapKey(request))
  const certRep: CertRep | undefined =
    response.statusCode === 200 ? await parseCertRep(response.rawPayload, { identity, unwrap }) : undefined
  return { response, certRep, certificate: certRep?.certificates[0] }
}

/** The certificate that GetCACert answers. */
export async function caOf(server: IdentityServer) {
  const { rawPayload } = await server.http.main.inject({ url: '/scep?operation=GetCACert&message=Firstboot' })
  return parseCertificate(rawPayload)
}

/** A self-signed certificate as Apple's client makes it. */
export function momentary(key: KeyObject): Promise<Identity> {
  return createLeaf({ subject: [['CN', 'MDM SCEP SIGNER']], key, ...TEST_VALIDITY })
}

function send(server: IdentityServer, message: Buffer, by: NonNullable<ScepRequest['by']>) {
  const url = '/scep?operation=PKIOperation'
  if (by === 'post' || by === 'octets') {
    const type = by === 'post' ? 'application/x-pki-message' : 'application/octet-stream'
    return server.http.main.inject({
      method: 'POST',
      url,
      headers: { 'content-type': type },
      payload: message,
    })
  }
  const base64 = message.toString(by === 'get-url-safe' ? 'base64url' : 'base64')
  // Unescaped, a plus sign arrives as a space.
  const parameter = by === 'get-spaces' ? base64 : encodeURIComponent(base64)
  return server.http.main.inject({ url: `${url}&message=${parameter}` })
}
