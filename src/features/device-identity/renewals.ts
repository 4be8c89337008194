import type { Tx } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { parseCertificate, type Certificate } from '../../protocol/x509/index.ts'
import type { EventData, Events } from '../events/index.ts'
import {
  findRenewed,
  forgetCertificate,
  insertIssued,
  listActive,
  lockActive,
  retireBindings,
  saveBinding,
  saveUse,
  type ActiveCertificate,
} from './store.ts'
import type { IssuedCertificate } from './types.ts'

/** Certificates with which an enrollment may speak: the one that it uses, and the one that it is to use. */
const MOST_CERTIFICATES = 2
/** For so long the same key gets the same certificate of a renewal again; a challenge has its own time. */
const REPEAT_MINUTES = 15
/** Renewals that overtake one that was not used and is younger than this are logged, and no event. */
const QUIET_MINUTES = 60

/** A renewal that was signed and is to be handed out. */
export interface Renewal {
  enrollmentId: string
  /** What is written down of it, and the certificate itself. */
  issued: Omit<IssuedCertificate, 'attempt_id' | 'enrollment_id' | 'issued_at'>
  certificate: Certificate
  /** SHA-256 of the active certificate that signed the request, if one did. */
  signer: Buffer | null
  event: { data: EventData<'certificate.issued'>; request_id?: string }
}

/** What becomes of a renewal that a device asks for by itself. */
type Renewed = Certificate | 'too_early' | 'not_active'

/** Renewals of certificates, at most two of which are active for an enrollment, whoever asks at the same time. */
export function createRenewals(deps: { clock: Clock; events: Events }) {
  const { clock, events } = deps

  /**
   * Records a renewed certificate: issued, bound and told. Where two are active, the one that the enrollment uses (it spoke
   * with it last, or signed this request with it; of two, the younger) stays, so that it is never locked out, and the new
   * one takes the place of the other.
   */
  async function record(trx: Tx, renewal: Renewal): Promise<void> {
    const { enrollmentId, issued, signer } = renewal
    await lockActive(trx, enrollmentId)
    // Only now, as what was added while this waited is not seen by the statement that waits.
    const active = await listActive(trx, enrollmentId)
    const kept = inUse(active, signer)
    const overtaken = active.length >= MOST_CERTIFICATES ? active.filter((each) => each !== kept) : []
    for (const each of overtaken) await giveUp(trx, enrollmentId, each, signer)
    if (signer !== null && kept?.fingerprint.equals(signer)) await saveUse(trx, enrollmentId, signer)
    const now = clock.now()
    await insertIssued(trx, { ...issued, attempt_id: null, enrollment_id: enrollmentId, issued_at: now })
    await saveBinding(trx, { enrollmentId, fingerprint: issued.fingerprint, renewal: true }, now)
    const event = { type: 'certificate.issued', enrollment_id: enrollmentId, ...renewal.event } as const
    const since = addTime(now, -QUIET_MINUTES, 'minute')
    if (overtaken.some(({ use, bound_at }) => use === 'unused' && bound_at > since)) events.announce(event)
    else await events.emit(trx, event)
  }

  /** The same for a request that nobody here asked for, signed by `signer`, whose dates are given. */
  async function recordOwn(
    trx: Tx,
    renewal: Renewal & { signer: Buffer },
    life: { not_before: Date; not_after: Date },
  ): Promise<Renewed> {
    const { enrollmentId, issued, certificate, signer } = renewal
    await lockActive(trx, enrollmentId)
    const active = await listActive(trx, enrollmentId)
    if (!active.some(({ fingerprint }) => fingerprint.equals(signer))) return 'not_active'
    const since = addTime(clock.now(), -REPEAT_MINUTES, 'minute')
    const before = await findRenewed(trx, { enrollmentId, publicKeyHash: issued.public_key_hash, since })
    if (before !== undefined) return parseCertificate(before)
    const used = active.filter(({ use, fingerprint }) => use !== 'unused' && !fingerprint.equals(signer))
    if (![life, ...used].every((each) => isInLastThird(each, clock.now()))) return 'too_early'
    await record(trx, renewal)
    return certificate
  }

  return { record, recordOwn }
}

/** The certificate without which the enrollment may be locked out. `active` is in the order in which they were bound. */
function inUse(active: readonly ActiveCertificate[], signer: Buffer | null): ActiveCertificate | undefined {
  const spoken = active.filter(({ use, fingerprint }) => use === 'current' || signer?.equals(fingerprint))
  return spoken.at(-1) ?? active[0]
}

async function giveUp(
  trx: Tx,
  enrollmentId: string,
  { fingerprint, use }: ActiveCertificate,
  signer: Buffer | null,
): Promise<void> {
  const isUnused = use === 'unused' && !signer?.equals(fingerprint)
  if (isUnused) await forgetCertificate(trx, enrollmentId, fingerprint)
  else await retireBindings(trx, enrollmentId, 'replaced', { only: fingerprint })
}

/** Whether two thirds of a certificate's life are over; of one whose dates are not known, yes. */
function isInLastThird(life: { not_before: Date | null; not_after: Date | null }, now: Date): boolean {
  if (life.not_before === null || life.not_after === null) return true
  const from = life.not_before.getTime()
  return now.getTime() >= from + ((life.not_after.getTime() - from) * 2) / 3
}
