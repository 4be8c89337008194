import type { FastifyInstance } from 'fastify'
import forge from 'node-forge'
import type { Secrets } from '../../src/config/secrets.ts'
import type { Db, Tx } from '../../src/db/index.ts'
import { createAuthority } from '../../src/features/device-identity/authority.ts'
import type { DeviceIdentity } from '../../src/features/device-identity/index.ts'
import type { Enrollment } from '../../src/features/devices/index.ts'
import { renderProfile } from '../../src/features/entry/profile.ts'
import type { Events } from '../../src/features/events/index.ts'
import { addTime, type Clock } from '../../src/kernel/clock.ts'
import { newAppleUuid, sha256 } from '../../src/kernel/ids.ts'
import type { Log } from '../../src/kernel/log.ts'
import type { SecretBox } from '../../src/kernel/secret-box.ts'
import { buildCommand, type Authenticate } from '../../src/protocol/mdm/index.ts'
import { buildSuccess, caCapabilities, openRequest, parsePkiMessage } from '../../src/protocol/scep/index.ts'
import { keyToPem, parseCertificate } from '../../src/protocol/x509/index.ts'
import type { Ordinary } from './ordinary.ts'

/**
 * The way in of the baseline: the same steps and tables with ordinary statements, and the RSA work of SCEP (opening
 * the envelope, checking the request, issuing) by node-forge on the event loop. The answer's signature is made by
 * node:crypto even here, which favours the baseline.
 */
export function plainEnrollment(deps: {
  app: FastifyInstance
  db: Db
  clock: Clock
  secretBox: SecretBox
  events: Events
  ordinary: Ordinary
  identity: DeviceIdentity
  secrets: Secrets
  log: Log
}) {
  const { app, db, clock, ordinary, identity } = deps
  const authority = createAuthority({ ...deps, imported: null })
  const ready = authority.ready().then(() => {
    const { certificate, key } = authority.issuing()
    return {
      certificate,
      key,
      forgeKey: forge.pki.privateKeyFromPem(keyToPem(key)),
      forgeCertificate: forge.pki.certificateFromPem(
        `-----BEGIN CERTIFICATE-----\n${certificate.der.toString('base64')}\n-----END CERTIFICATE-----`,
      ),
    }
  })

  app.get<{ Params: { key: string } }>('/enroll/link/:key', async (request, reply) => {
    const topic = await db.kysely.selectFrom('push_certificates').select('topic').executeTakeFirstOrThrow()
    const link = await db.kysely
      .selectFrom('enrollment_links')
      .selectAll()
      .where('key_hash', '=', sha256(request.params.key))
      .executeTakeFirstOrThrow()
    const made = await db.transaction(async (trx) => {
      const deadline = addTime(clock.now(), 60, 'minute')
      const id = await ordinary.open(
        trx,
        { way: 'link', link_id: link.id, deadline },
        {
          step: 'contact',
          outcome: 'passed',
        },
        { step: 'profile', outcome: 'passed' },
      )
      return { reference: id, challenge: await identity.newChallenge(trx, { attemptId: id }) }
    })
    const publicUrl = `http://${request.headers.host ?? ''}`
    const profile = await renderProfile({ identity, publicUrl, instanceId: 'bench' }, { ...made, ...topic })
    return reply.type('application/x-apple-aspen-config').send(profile)
  })

  app.get('/scep', async (request, reply) => {
    const { operation } = request.query as { operation?: string }
    if (operation === 'GetCACaps') return reply.type('text/plain').send(caCapabilities({ sha1: false }))
    return reply.type('application/x-x509-ca-cert').send((await ready).certificate.der)
  })

  app.post('/scep', async (request, reply) => {
    const ca = await ready
    const message = parsePkiMessage(request.body as Buffer)
    const unwrap = async ({ encryptedKey }: { encryptedKey: Uint8Array }) =>
      Buffer.from(ca.forgeKey.decrypt(Buffer.from(encryptedKey).toString('binary')), 'binary')
    const { csr, cipher } = await openRequest(message, { identity: ca, unwrap })
    const forgeCsr = forge.pki.certificationRequestFromAsn1(forge.asn1.fromDer(csr.der.toString('binary')))
    if (!forgeCsr.verify()) return reply.code(400).send()
    const hash = sha256(csr.challengePassword ?? '')
    const now = clock.now()
    const der = issue(forgeCsr, ca, now)
    const certificate = parseCertificate(der)
    await db.transaction(async (trx) => {
      const challenge = await trx
        .selectFrom('scep_challenges')
        .selectAll()
        .where('hash', '=', hash)
        .forUpdate()
        .executeTakeFirstOrThrow()
      await trx
        .updateTable('scep_challenges')
        .set({ public_key_hash: sha256(csr.spki), certificate: der })
        .where('hash', '=', hash)
        .execute()
      await trx
        .insertInto('issued_certificates')
        .values({
          fingerprint: Buffer.from(certificate.fingerprint, 'hex'),
          ca_id: ca.certificate.fingerprint,
          serial_number: certificate.serialNumber,
          certificate: der,
          public_key_hash: sha256(csr.spki),
          attempt_id: challenge.attempt_id,
          enrollment_id: null,
          not_before: certificate.notBefore,
          not_after: certificate.notAfter,
          issued_at: now,
        })
        .execute()
      await ordinary.step(trx, challenge.attempt_id ?? '', { step: 'certificate', outcome: 'passed' })
      const data = {
        certificate_serial_number: certificate.serialNumber,
        not_after: certificate.notAfter.toISOString(),
        transaction_id: message.transactionId,
        renewal: false,
      }
      await ordinary.emit(trx, { type: 'certificate.issued', attempt_id: challenge.attempt_id, data })
    })
    const answer = await buildSuccess({ request: message, issued: certificate, cipher, signer: ca, now })
    return reply.type('application/x-pki-message').send(answer)
  })

  return {
    async authenticate(message: Omit<Authenticate, 'raw'>, fingerprint: Buffer, raw: Buffer): Promise<void> {
      const now = clock.now()
      await db.transaction(async (trx) => {
        const issued = await trx
          .selectFrom('issued_certificates')
          .select('attempt_id')
          .where('fingerprint', '=', fingerprint)
          .executeTakeFirstOrThrow()
        const attempt = await trx
          .selectFrom('enrollment_attempts')
          .select(['id', 'link_id'])
          .where('id', '=', issued.attempt_id ?? '')
          .forUpdate()
          .executeTakeFirstOrThrow()
        await trx
          .updateTable('enrollment_links')
          .set((eb) => ({ used: eb('used', '+', 1) }))
          .where('id', '=', attempt.link_id ?? '')
          .execute()
        const id = message.identity.deviceId
        await trx.deleteFrom('enrollments').where('id', '=', id).execute()
        await trx
          .insertInto('enrollments')
          .values({
            id,
            type: 'device',
            udid: id,
            serial_number: message.serialNumber ?? null,
            topic: message.topic,
            attempt_id: attempt.id,
            product_name: message.productName ?? null,
            os_version: message.osVersion ?? null,
            authenticated_at: now,
            created_at: now,
            updated_at: now,
          })
          .execute()
        await trx
          .insertInto('enrollment_certificates')
          .values({ enrollment_id: id, fingerprint, state: 'active', renewal: false, bound_at: now })
          .execute()
        await trx
          .insertInto('checkin_messages')
          .values({
            enrollment_id: id,
            message_type: 'Authenticate',
            received_at: now,
            raw: deps.secretBox.seal(raw, 'raw'),
          })
          .execute()
        await trx
          .updateTable('enrollment_attempts')
          .set({ enrollment_id: id, updated_at: now })
          .where('id', '=', attempt.id)
          .execute()
        await ordinary.step(trx, attempt.id, { step: 'authenticate', outcome: 'passed' })
        await ordinary.emit(trx, {
          type: 'device.authenticated',
          enrollment_id: id,
          attempt_id: attempt.id,
          data: { again: false },
        })
      })
    },
    /** What the first TokenUpdate adds: the attempt is closed and the device asked for its facts. */
    async complete(trx: Tx, device: Pick<Enrollment, 'id' | 'attempt_id'>): Promise<void> {
      const now = clock.now()
      await trx
        .updateTable('enrollment_attempts')
        .set({ outcome: 'enrolled', reason: null, closed_at: now, updated_at: now })
        .where('id', '=', device.attempt_id ?? '')
        .execute()
      await ordinary.step(trx, device.attempt_id ?? '', { step: 'token_update', outcome: 'passed' })
      const uuid = newAppleUuid()
      await trx
        .insertInto('commands')
        .values({
          uuid,
          request_type: 'DeviceInformation',
          purpose: 'inventory',
          body: buildCommand(uuid, 'DeviceInformation', { Queries: ['UDID', 'OSVersion', 'SerialNumber'] }),
          not_before: null,
          expires_at: null,
          target_ids: [device.id],
          created_by: null,
          created_at: now,
        })
        .execute()
      await trx
        .insertInto('pending_deliveries')
        .values({
          enrollment_id: device.id,
          command_uuid: uuid,
          priority: 0,
          not_before: null,
          expires_at: null,
          sent_at: null,
          push_at: now,
          created_at: now,
        })
        .execute()
      await ordinary.emit(trx, {
        type: 'device.enrolled',
        enrollment_id: device.id,
        data: { tally: 1, type: 'device', awaiting_configuration: false },
      })
    },
  }
}

function issue(
  csr: forge.pki.CertificateSigningRequest,
  ca: { forgeKey: forge.pki.rsa.PrivateKey; forgeCertificate: forge.pki.Certificate },
  now: Date,
): Buffer {
  const certificate = forge.pki.createCertificate()
  if (!csr.publicKey) throw new Error('the request has no key')
  certificate.publicKey = csr.publicKey
  certificate.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(16))}`
  certificate.validity.notBefore = addTime(now, -5, 'minute')
  certificate.validity.notAfter = addTime(now, 365, 'day')
  certificate.setSubject([{ name: 'commonName', value: 'bench' }])
  certificate.setIssuer(ca.forgeCertificate.subject.attributes)
  certificate.sign(ca.forgeKey, forge.md.sha256.create())
  return Buffer.from(forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes(), 'binary')
}
