import type { Tx } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import {
  listBindings,
  lockActive,
  newestActive,
  retireBindings,
  saveBinding,
  voidChallengesOf,
  type Queries,
} from './store.ts'
import type { Binding } from './types.ts'

/** Which certificate is which enrollment. */
export function createBindings(deps: { clock: Clock }) {
  const { clock } = deps

  /**
   * Makes a certificate that of an enrollment. At Authenticate (`renewal` false) every other one of the enrollment is
   * replaced and what was given out for its renewal is void; a renewal leaves the earlier ones active.
   */
  async function bind(
    trx: Tx,
    binding: { enrollmentId: string; fingerprint: Buffer; renewal: boolean },
  ): Promise<void> {
    const { enrollmentId, fingerprint, renewal } = binding
    await lockActive(trx, enrollmentId)
    if (!renewal) {
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
  }
}
