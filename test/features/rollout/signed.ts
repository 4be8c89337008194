import { createSignatureVerifier } from '../../../src/protocol/cms/index.ts'
import { parsePlist } from '../../../src/protocol/plist/index.ts'

const verify = createSignatureVerifier({ cacheSize: 1 })

/** What is in a signed profile, and the fingerprint of the certificate that signed it. */
export function readSigned(body: Buffer) {
  const { content, signer } = verify(body)
  if (content === undefined) throw new Error('There is nothing in it.')
  return { plist: parsePlist(content), by: signer.fingerprint }
}
