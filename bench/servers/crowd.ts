import type { Db } from '../../src/db/index.ts'
import { createAuthority } from '../../src/features/device-identity/authority.ts'
import { addTime, systemClock } from '../../src/kernel/clock.ts'
import { sha256 } from '../../src/kernel/ids.ts'
import type { Log } from '../../src/kernel/log.ts'
import type { SecretBox } from '../../src/kernel/secret-box.ts'
import { OID } from '../../src/protocol/asn1/index.ts'
import { issueCertificate, validity, type Identity } from '../../src/protocol/x509/index.ts'
import type { CrowdMember } from './protocol.ts'

const BATCH = 250

/**
 * Enrols thousands of devices at once: the server's own CA issues a certificate for each, and what an enrollment leaves in
 * the tables is inserted in a few statements.
 */
export async function enrolCrowd(
  deps: { db: Db; log: Log; secretBox: SecretBox },
  members: readonly CrowdMember[],
  spkis: readonly string[],
  topic: string,
): Promise<string[]> {
  const authority = createAuthority({ ...deps, clock: systemClock, imported: null })
  await authority.ready()
  const keys = spkis.map((spki) => Buffer.from(spki, 'base64'))
  const certificates: string[] = []
  for (let at = 0; at < members.length; at += BATCH) {
    const some = members.slice(at, at + BATCH)
    certificates.push(...(await enrolSome(deps.db, authority.issuing(), some, keys, topic)))
  }
  return certificates
}

async function enrolSome(
  db: Db,
  issuer: Identity,
  members: readonly CrowdMember[],
  keys: readonly Buffer[],
  topic: string,
): Promise<string[]> {
  const now = systemClock.now()
  const enrolled = await Promise.all(
    members.map(async ({ id, keyIndex }) => {
      const spki = keys[keyIndex] ?? Buffer.alloc(0)
      const certificate = await issueCertificate({
        issuer,
        spki,
        subject: [['CN', id]],
        ...validity(now, 365),
        keyUsage: ['digitalSignature', 'keyEncipherment'],
        extendedKeyUsage: [OID.clientAuth],
      })
      return { id, spki, certificate, fingerprint: Buffer.from(certificate.fingerprint, 'hex') }
    }),
  )
  await db.transaction(async (trx) => {
    await trx
      .insertInto('enrollments')
      .values(
        enrolled.map(({ id }, at) => ({
          ...({ id, type: 'device', udid: id, topic, push_magic: 'bench', push_state: 'ok' } as const),
          push_token: Buffer.from(id),
          token_update_tally: 1,
          token_updated_at: now,
          serial_number: `CROWD${id.slice(-5)}${at}`,
          authenticated_at: now,
          enrolled_at: now,
          created_at: now,
          updated_at: now,
        })),
      )
      .execute()
    await trx
      .insertInto('issued_certificates')
      .values(
        enrolled.map(({ id, certificate, spki, fingerprint }) => ({
          fingerprint,
          ca_id: issuer.certificate.fingerprint,
          certificate: certificate.der,
          serial_number: certificate.serialNumber,
          public_key_hash: sha256(spki),
          attempt_id: null,
          enrollment_id: id,
          issued_at: addTime(now, -1, 'second'),
          not_before: certificate.notBefore,
          not_after: certificate.notAfter,
        })),
      )
      .execute()
    await trx
      .insertInto('enrollment_certificates')
      .values(
        enrolled.map(({ id, fingerprint }) => ({
          ...({ enrollment_id: id, fingerprint, state: 'active', renewal: false, bound_at: now } as const),
        })),
      )
      .execute()
  })
  return enrolled.map(({ certificate }) => certificate.der.toString('base64'))
}
