/** Whom a certificate is for: an attempt to enrol, or an enrollment whose certificate is to be renewed. */
export type Purpose = { attemptId: string; serial_number?: string; udid?: string } | { enrollmentId: string }

/** Why a certificate is not that of a device of ours. */
export type CertificateProblem = 'foreign' | 'expired' | 'not_yet_valid'

/** Whose certificate it is, by its SHA-256, and what is wrong with it. */
export interface Identified {
  fingerprint: Buffer
  problem?: CertificateProblem
}

/** The signer of a message, or a word and a sentence why it is nobody of ours. */
export type SignatureResult =
  { fingerprint: Buffer } | { problem: CertificateProblem | 'malformed' | 'bad_signature'; message: string }

/** A certificate that was issued, and for whom. */
export interface IssuedCertificate {
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

/** That a certificate is, or was, an enrollment. */
export interface Binding {
  enrollment_id: string
  state: 'active' | 'replaced' | 'ended'
  renewal: boolean
}

/** A challenge as it is kept; `certificate` is set once it was used. */
export interface Challenge {
  hash: Buffer
  attempt_id: string | null
  enrollment_id: string | null
  serial_number: string | null
  udid: string | null
  public_key_hash: Buffer | null
  certificate: Buffer | null
  voided_at: Date | null
  expires_at: Date
}
