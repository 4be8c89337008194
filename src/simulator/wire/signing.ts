import { createSignatureVerifier, signData } from '../../protocol/cms/index.ts'
import { parseCertificate, type Identity } from '../../protocol/x509/index.ts'
import { refuse } from './strict-reading.ts'

const verify = createSignatureVerifier({ cacheSize: 16 })

/** Macs sign the body itself, by SHA-1; others sign attributes that name its digest. */
const AS_MACS: Pick<Parameters<typeof signData>[0], 'attributes' | 'hash'> = {
  attributes: 'none',
  hash: 'sha1',
}

/** The value of `Mdm-Signature`: a detached CMS signature over the exact body, in base64, as devices of that kind make it. */
export async function signBody(body: Uint8Array, signer: Identity, isMac: boolean): Promise<string> {
  const form = isMac ? AS_MACS : {}
  return (await signData({ content: body, detached: true, signer, ...form })).toString('base64')
}

/**
 * The content of a signed profile and the DER of its certificates, the signer's first. The signature must be right, and
 * the signer and its issuers, as far as they are in the message, must be valid now.
 */
export function openSigned(message: Uint8Array, now: Date): { content: Buffer; signers: Buffer[] } {
  const { content, signer, certificates } = verify(message)
  for (const certificate of [signer, ...certificates.map((der) => parseCertificate(der))]) {
    if (now < certificate.notBefore || now > certificate.notAfter) {
      refuse(
        `a certificate of the profile's signature is valid from ${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()} only`,
      )
    }
  }
  const others = certificates.filter((der) => !der.equals(signer.der))
  return { content: content ?? refuse('a signature without content'), signers: [signer.der, ...others] }
}
