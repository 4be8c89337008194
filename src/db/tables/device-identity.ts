import type { Generated } from 'kysely'

/** A CA whose device certificates are trusted; one without a key (an old or foreign one) issues nothing. */
interface DeviceCasTable {
  id: string
  certificate: Buffer
  private_key: Buffer | null
  created_at: Date
}

/** The certificate and key that sign enrollment profiles, issued by a CA of ours and the same for all processes. */
interface ProfileSignersTable {
  ca_id: string
  certificate: Buffer
  private_key: Buffer
  created_at: Date
}

/**
 * A SCEP challenge, hashed, for one enrollment attempt or for the renewal of one enrollment. Issuance notes the key
 * and the certificate: until it expires the same key gets the same certificate again.
 */
interface ScepChallengesTable {
  hash: Buffer
  attempt_id: string | null
  enrollment_id: string | null
  serial_number: string | null
  udid: string | null
  /** With what an attempt begins that there is not yet (link, page), and whose device it is. */
  way: 'ade' | 'ade_web' | 'link' | 'page' | null
  link_id: string | null
  policy_id: string | null
  user_id: string | null
  user_name: string | null
  public_key_hash: Buffer | null
  certificate: Buffer | null
  voided_at: Date | null
  expires_at: Date
  created_at: Date
}

/** Every certificate that our CA issued, but renewals whose place another one took before they were used. */
interface IssuedCertificatesTable {
  fingerprint: Buffer
  ca_id: string
  /** Hex. */
  serial_number: string
  certificate: Buffer
  public_key_hash: Buffer
  attempt_id: string | null
  enrollment_id: string | null
  not_before: Date
  not_after: Date
  issued_at: Date
}

/** Whether an enrollment has spoken with a certificate: never, before another one, or last. */
export type CertificateUse = 'unused' | 'former' | 'current'

/** Which certificate is which enrollment. */
interface EnrollmentCertificatesTable {
  enrollment_id: string
  fingerprint: Buffer
  state: 'active' | 'replaced' | 'ended'
  renewal: boolean
  use: Generated<CertificateUse>
  bound_at: Date
  /** When it was last told that it speaks although another has its place. */
  contested_at: Date | null
}

export interface DeviceIdentityTables {
  device_cas: DeviceCasTable
  profile_signers: ProfileSignersTable
  scep_challenges: ScepChallengesTable
  issued_certificates: IssuedCertificatesTable
  enrollment_certificates: EnrollmentCertificatesTable
}
