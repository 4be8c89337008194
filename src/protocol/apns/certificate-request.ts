import type { KeyObject } from 'node:crypto'
import { writePlist } from '../plist/index.ts'
import { sign, writePem, type Certificate } from '../x509/index.ts'

/**
 * The file that Apple's portal for push certificates takes: a PKCS#10 request (DER), signed with the RSA key of a vendor, whose
 * certificate begins the chain up to Apple's root ("Setting Up Push Notifications for Your MDM Customers").
 */
export async function writeCertificateRequest(options: {
  csr: Uint8Array
  vendorKey: KeyObject
  chain: readonly Certificate[]
}): Promise<string> {
  const { csr, vendorKey, chain } = options
  const signature = await sign(vendorKey, 'sha256', csr)
  const plist = writePlist({
    PushCertRequestCSR: Buffer.from(csr).toString('base64'),
    PushCertCertificateChain: chain.map(({ der }) => writePem('CERTIFICATE', der)).join(''),
    PushCertSignature: signature.toString('base64'),
  })
  return Buffer.from(plist).toString('base64')
}
