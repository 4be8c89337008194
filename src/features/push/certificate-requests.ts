import { createPrivateKey } from 'node:crypto'
import type { Db } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import { decodeCursor, page, type Page } from '../../kernel/paging.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { writeCertificateRequest } from '../../protocol/apns/index.ts'
import { createCsr, generateRsaKey, keyToPem, writePem } from '../../protocol/x509/index.ts'
import type { Events } from '../events/index.ts'
import type { PushCertificates } from './certificates.ts'
import { findRequest, insertRequest, listRequests, type CertificateRequest } from './store.ts'
import { readVendor } from './vendor.ts'

/** Apple puts names of its own into the certificate. */
const SUBJECT = [['CN', 'Firstboot push certificate']] as const

/** Requests for push certificates, whose keys are made here and stay here. */
export type CertificateRequests = ReturnType<typeof createCertificateRequests>

/** Makes them, and takes what Apple answers. */
export function createCertificateRequests(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  box: SecretBox
  certificates: Pick<PushCertificates, 'store'>
}) {
  const { db, clock, events, box, certificates } = deps

  /**
   * Makes a key and a request for it; with a vendor also the file for Apple's portal. The vendor's key is forgotten.
   * Refuses as `readVendor`.
   */
  async function create(
    vendor: { certificates: string; key: string } | undefined,
    act: Act,
  ): Promise<CertificateRequest> {
    const now = clock.now()
    const signer = vendor && (await readVendor(vendor, now))
    const id = newId(now)
    const key = await generateRsaKey()
    const csr = await createCsr({ subject: SUBJECT, key })
    const row = {
      id,
      private_key: box.seal(Buffer.from(keyToPem(key)), SEALED_FOR.requestedPushKey(id)),
      csr: writePem('CERTIFICATE REQUEST', csr),
      upload: signer
        ? await writeCertificateRequest({ csr, vendorKey: signer.key, chain: signer.chain })
        : null,
    }
    return db.transaction(async (trx) => {
      const made = await insertRequest(trx, row, now)
      await events.emit(trx, {
        type: 'push_certificate.requested',
        act,
        data: { push_certificate_request_id: id, signed: signer !== undefined },
      })
      return made
    })
  }

  async function find(id: string) {
    const found = await findRequest(db.kysely, id)
    if (found === undefined)
      throw new AppError('not_found', 'There is no request for a push certificate with this id.')
    return found
  }

  return {
    create,
    /** Throws AppError `not_found`. */
    get: (id: string): Promise<CertificateRequest> => find(id),
    /** Oldest first. */
    async list(query: { limit: number; cursor?: string | undefined }): Promise<Page<CertificateRequest>> {
      const { limit, cursor } = query
      const [afterId] = decodeCursor(cursor, ['string']) ?? []
      return page(await listRequests(db.kysely, { limit: limit + 1, afterId }), limit, ({ id }) => [id])
    },
    /** Stores the certificate that Apple gave, as `PushCertificates.store` does. Throws AppError `not_found`. */
    async putCertificate(
      id: string,
      pem: Uint8Array,
      act: Act,
      options: { appleId?: string | undefined; force?: boolean | undefined },
    ) {
      const { private_key: sealed } = await find(id)
      const key = createPrivateKey(box.open(sealed, SEALED_FOR.requestedPushKey(id)))
      return certificates.store({ pem, key }, act, { ...options, requestId: id })
    },
  }
}
