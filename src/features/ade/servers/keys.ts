import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { createPrivateKey } from 'node:crypto'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { createTokenKeyPair } from '../../../protocol/ade/index.ts'
import { keyToPem, parseCertificate, writePem, type Identity } from '../../../protocol/x509/index.ts'
import type { ServerRow } from './store.ts'

/** A key pair for tokens as it is kept: the certificate, and the private key sealed. */
interface StoredKey {
  certificate: Buffer
  privateKey: Buffer
}

/** A new token key pair for a server, whose name stands in the certificate. */
export async function newTokenKey(options: {
  name: string
  now: Date
  secretBox: SecretBox
}): Promise<StoredKey> {
  const { certificate, key } = await createTokenKeyPair(options)
  return {
    certificate: certificate.der,
    privateKey: options.secretBox.seal(Buffer.from(keyToPem(key)), SEALED_FOR.adeKey(certificate.der)),
  }
}

/** The keys that a token may have been made for, the staged one first. */
export function keysOf(server: ServerRow, secretBox: SecretBox): Identity[] {
  const stored = [
    [server.staged_certificate, server.staged_private_key],
    [server.certificate, server.private_key],
  ] as const
  return stored.flatMap(([certificate, sealed]) =>
    certificate === null || sealed === null
      ? []
      : [
          {
            certificate: parseCertificate(certificate),
            key: createPrivateKey(secretBox.open(sealed, SEALED_FOR.adeKey(certificate)).toString('utf8')),
          },
        ],
  )
}

/** The certificate that Apple is to be given, in PEM: the staged one, as long as no token came for it. */
export function encryptionKeyPem(server: ServerRow): string {
  return writePem('CERTIFICATE', server.staged_certificate ?? server.certificate)
}
