import type { Clock } from '../../kernel/clock.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'

/** What a request shows of its sender. */
export interface Credentials {
  /** A client certificate from TLS or from a trusted proxy, DER. */
  clientCertificate: Buffer | undefined
  /** The Mdm-Signature header. */
  signature: string | undefined
}

/**
 * Says which certificate of ours a request was made with: the client certificate where there is one of ours, else the
 * signer of Mdm-Signature over exactly this body. A problem is a plain word for the log.
 */
export async function identifyCaller(
  deps: { identity: DeviceIdentity; clock: Clock },
  credentials: Credentials,
  body: Buffer,
  digests: { sha1?: Uint8Array; sha256?: Uint8Array } = {},
): Promise<{ fingerprint: Buffer } | { problem: string }> {
  const { clientCertificate, signature } = credentials
  if (clientCertificate) {
    const found = await deps.identity.identify(clientCertificate, deps.clock.now())
    if (!found.problem) return { fingerprint: found.fingerprint }
    if (signature === undefined) return { problem: `client_certificate_${found.problem}` }
  }
  if (signature === undefined) return { problem: 'certificate_missing' }
  return deps.identity.verifySignature(signature, body, digests)
}
