import type { Generated } from 'kysely'

/** A push certificate with its sealed key. At most one is in use: the one new enrollments get. */
export interface PushCertificatesTable {
  topic: string
  certificate: string
  private_key: Buffer
  apple_id: string | null
  not_after: Date
  in_use: Generated<boolean>
  rejected_reason: string | null
  warned_days: number | null
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** A push certificate that Apple is asked for, with its sealed key; `topic` is of the certificate that came. */
export interface PushCertificateRequestsTable {
  id: string
  private_key: Buffer
  /** PEM. */
  csr: string
  /** The file for Apple's portal. */
  upload: string | null
  topic: string | null
  created_at: Date
  updated_at: Date
}

/** An enrollment that is to be woken, or was (`pushed_at`) and has not been heard of since. */
interface PushNeedsTable {
  enrollment_id: string
  due_at: Date
  attempts: Generated<number>
  pushed_at: Date | null
  /** A process is sending it until then; afterwards the process counts as dead. */
  claimed_until: Date | null
  /** No push with this topic passes at present. */
  held_topic: string | null
  created_at: Date
}

export interface PushTables {
  push_certificates: PushCertificatesTable
  push_certificate_requests: PushCertificateRequestsTable
  push_needs: PushNeedsTable
}
