import type { Tx } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import {
  findIssued,
  listBindings,
  lockActive,
  newestActive,
  retireBindings,
  saveBinding,
  voidChallengesOf,
  type Queries,
} from './store.ts'
import type { Binding, IssuedCertificate } from './types.ts'

/** Which certificate is which enrollment. */
export function createBindings(deps: { clock: Clock }) {
  const { clock } = deps

  /**
   * Makes a certificate that of an enrollment. At Authenticate (`renewal` false) every other one of the enrollment is
   * replaced and what was given out for its renewal is void; a renewal leaves the earlier ones active. `isFirst`: of an
   * enrollment that was made just now, which has no other.
   */
  async function bind(
    trx: Tx,
    binding: { enrollmentId: string; fingerprint: Buffer; renewal: boolean; isFirst?: boolean },
  ): Promise<void> {
    const { enrollmentId, fingerprint, renewal, isFirst = false } = binding
    if (!isFirst) await lockActive(trx, enrollmentId)
    if (!renewal && !isFirst) {
      await retireBindings(trx, enrollmentId, 'replaced', fingerprint)
      await voidChallengesOf(trx, { enrollment_id: enrollmentId }, clock.now())
    }
    await saveBinding(trx, binding, clock.now())
  }

  return {
    bind,
    /** Ends the active certificates of an enrollment that is over, and voids what was given out for their renewal. */
    async endAll(trx: Tx, enrollmentId: string): Promise<void> {
      await lockActive(trx, enrollmentId)
      await retireBindings(trx, enrollmentId, 'ended')
      await voidChallengesOf(trx, { enrollment_id: enrollmentId }, clock.now())
    },
    /** DER of the certificate that an enrollment uses; undefined without one of our issue. */
    activeCertificate: (queries: Queries, enrollmentId: string): Promise<Buffer | undefined> =>
      newestActive(queries, enrollmentId),
    /** Which enrollments a certificate is or was. */
    bindings: (queries: Queries, fingerprint: Buffer): Promise<Binding[]> =>
      listBindings(queries, fingerprint),
    /** What we issued and for whom; undefined for a certificate that is not of our making. */
    issued: (queries: Queries, fingerprint: Buffer): Promise<IssuedCertificate | undefined> =>
      findIssued(queries, fingerprint),
  }
}
