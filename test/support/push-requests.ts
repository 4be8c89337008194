import {
  createLeaf,
  issueCertificate,
  parseCsr,
  readPem,
  validity,
  writePem,
  type Identity,
} from '../../src/protocol/x509/index.ts'
import { testKey } from './keys.ts'

const NOW = new Date()
let portal: Promise<Identity> | undefined

/** What Apple's portal gives for a request: a push certificate of a topic in PEM. */
export async function pushCertificateFor(
  csrPem: string,
  topic: string,
  { from = NOW, days = 365 }: { from?: Date; days?: number } = {},
): Promise<string> {
  const [block] = readPem(csrPem)
  const { spki } = parseCsr(block!.der)
  portal ??= createLeaf({
    subject: [['CN', 'Portal']],
    ...validity(NOW, 365),
    ca: {},
    keyUsage: ['keyCertSign'],
    key: testKey('ca'),
  })
  const subject = [
    ['UID', topic],
    ['CN', 'APSP:test'],
  ] as const
  const issuer = await portal
  const { der } = await issueCertificate({ subject, ...validity(from, days), issuer, spki })
  return writePem('CERTIFICATE', der)
}
