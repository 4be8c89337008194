import type { Taking } from '../../db/statements/issue.ts'
import type { Clock } from '../../kernel/clock.ts'
import { sha256 } from '../../kernel/ids.ts'
import { OID } from '../../protocol/asn1/index.ts'
import {
  issueCertificate,
  validity,
  type Certificate,
  type CertificateRequest,
  type NameInput,
} from '../../protocol/x509/index.ts'
import type { Authority } from './authority.ts'
import type { Challenge } from './types.ts'

const VALID_DAYS = 365
/** X.520, ub-common-name. */
const MAX_COMMON_NAME = 64

/** A certificate that was signed, and is not given out before it is written down. */
export interface Signed {
  certificate: Certificate
  /** What is kept of it. */
  issued: Taking['issued']
  /** What timeline and event say of it. */
  detail: { certificate_serial_number: string; not_after: string }
}

/** Signs with the CA that issues, for a year or as long as the CA lives; whatever the request asked for, only its key counts. */
export function createSigning({ clock, authority }: { clock: Clock; authority: Pick<Authority, 'issuing'> }) {
  return async function sign(csr: CertificateRequest, owner: Partial<Challenge>): Promise<Signed> {
    const issuer = authority.issuing()
    const { notBefore, notAfter } = validity(clock.now(), VALID_DAYS)
    const last = issuer.certificate.notAfter
    const certificate = await issueCertificate({
      issuer,
      spki: csr.spki,
      subject: subjectOf(owner),
      notBefore,
      notAfter: notAfter < last ? notAfter : last,
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsage: [OID.clientAuth],
    })
    const { serialNumber } = certificate
    return {
      certificate,
      issued: {
        fingerprint: Buffer.from(certificate.fingerprint, 'hex'),
        ca_id: issuer.certificate.fingerprint,
        serial_number: serialNumber,
        certificate: certificate.der,
        public_key_hash: sha256(certificate.spki),
        not_before: certificate.notBefore,
        not_after: certificate.notAfter,
      },
      detail: { certificate_serial_number: serialNumber, not_after: certificate.notAfter.toISOString() },
    }
  }
}

/** The attempt or enrollment, and the serial number where it is known. */
function subjectOf({ attempt_id, enrollment_id, serial_number }: Partial<Challenge>): NameInput {
  const commonName = (attempt_id ?? enrollment_id ?? '').slice(0, MAX_COMMON_NAME)
  return [
    ['O', 'Firstboot'],
    ...(serial_number ? [['serialNumber', serial_number] as const] : []),
    ['CN', commonName],
  ]
}
