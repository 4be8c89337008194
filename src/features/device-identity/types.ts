import type { CertificateUse, DeviceIdentityTables } from '../../db/tables/device-identity.ts'
import type { ContentCheck } from '../../protocol/cms/index.ts'

/** Whose device it will be, whoever signs in to the attempt afterwards. */
interface Person {
  id: string
  name: string
}

/** An attempt that will begin with its certificate, by this link. */
export interface LinkPurpose {
  attemptId: string
  linkId: string
  user: Person | undefined
}

/**
 * Whom a certificate is for: an attempt to enrol (`way`: one that begins with the certificate), or an enrollment whose
 * certificate is to be renewed.
 */
export type Purpose =
  | {
      attemptId: string
      serial_number?: string
      udid?: string
      way?: 'link' | 'page'
      linkId?: string
      /** By which the device is enrolled, where the attempt begins with the certificate. */
      policyId?: string
      user?: Person | undefined
    }
  | { enrollmentId: string }

/** Why a certificate is not that of a device of ours. */
export type CertificateProblem = 'foreign' | 'expired' | 'not_yet_valid'

/** Whose certificate it is, by its SHA-256, and what is wrong with it. */
export interface Identified {
  fingerprint: Buffer
  problem?: CertificateProblem
}

/** What a request shows of its sender. */
export interface Credentials {
  /** A client certificate from TLS or from a trusted proxy, DER. */
  clientCertificate: Buffer | undefined
  /** The Mdm-Signature header. */
  signature: string | undefined
}

/** Who sends a request, found before its body was read; a signature is compared with the body as it comes. */
export interface Proof {
  readonly fingerprint: Buffer
  readonly body: ContentCheck | undefined
}

/** The signer of a message, or a word and a sentence why it is nobody of ours. */
export type SignatureResult =
  { fingerprint: Buffer } | { problem: CertificateProblem | 'malformed' | 'bad_signature'; message: string }

/** A certificate that was issued, and for whom. */
export type IssuedCertificate = DeviceIdentityTables['issued_certificates']

/** That a certificate is, or was, an enrollment. */
export type Binding = Pick<DeviceIdentityTables['enrollment_certificates'], 'enrollment_id' | 'state'> & {
  use: CertificateUse
}

/** A challenge as it is kept; `certificate` is set once it was used. */
export type Challenge = Omit<DeviceIdentityTables['scep_challenges'], 'created_at'>

/** One that nobody has used yet. */
export type NewChallenge = Omit<Challenge, 'public_key_hash' | 'certificate' | 'voided_at'>
