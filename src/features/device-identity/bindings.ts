import type { Queries, Tx } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import {
  isUsed,
  listBindings,
  lockActive,
  lockUnknown,
  newestActive,
  noteContested,
  retireBindings,
  saveBinding,
  saveUse,
  voidChallengesOf,
} from './store.ts'
import type { Binding } from './types.ts'

/** That a replaced certificate still speaks is told once in so long. */
const CONTESTED_AGAIN_MINUTES = 60

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
      await retireBindings(trx, enrollmentId, 'replaced', { except: fingerprint })
      await voidChallengesOf(trx, { enrollment_id: enrollmentId }, clock.now())
    }
    await saveBinding(trx, binding, clock.now())
  }

  return {
    bind,
    /**
     * Ends the active certificates of an enrollment that is over, and voids what was given out for their renewal. `replaced`:
     * another device has its place, and whoever still has them may be the honest one.
     */
    async endAll(trx: Tx, enrollmentId: string, state: 'ended' | 'replaced' = 'ended'): Promise<void> {
      await lockActive(trx, enrollmentId)
      await retireBindings(trx, enrollmentId, state)
      await voidChallengesOf(trx, { enrollment_id: enrollmentId }, clock.now())
    },
    /** Whether it is to be told that this replaced certificate of an enrollment has spoken: once an hour. */
    isToldContested: (trx: Tx, enrollmentId: string, fingerprint: Buffer): Promise<boolean> => {
      const now = clock.now()
      const since = addTime(now, -CONTESTED_AGAIN_MINUTES, 'minute')
      return noteContested(trx, { enrollmentId, fingerprint }, now, since)
    },
    /** DER of the certificate that an enrollment uses; undefined without one of our issue. */
    activeCertificate: (queries: Queries, enrollmentId: string): Promise<Buffer | undefined> =>
      newestActive(queries, enrollmentId),
    /** Notes that an enrollment has spoken with a certificate that is not known as the one it uses (see `Binding`). */
    noteUse: (queries: Queries, enrollmentId: string, fingerprint: Buffer): Promise<void> =>
      saveUse(queries, enrollmentId, fingerprint),
    /** See `lockUnknown`. */
    isUnknown: (trx: Tx, fingerprint: Buffer): Promise<boolean> => lockUnknown(trx, fingerprint),
    /** Whether an enrollment has a certificate with which it may speak. */
    hasCertificate: async (trx: Tx, enrollmentId: string): Promise<boolean> =>
      (await lockActive(trx, enrollmentId)).length > 0,
    /** Whether an enrollment has spoken with one of its certificates. */
    hasSpoken: (queries: Queries, enrollmentId: string): Promise<boolean> => isUsed(queries, enrollmentId),
    /** Which enrollments a certificate is or was. */
    bindings: (queries: Queries, fingerprint: Buffer): Promise<Binding[]> =>
      listBindings(queries, fingerprint),
  }
}
