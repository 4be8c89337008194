import { resealColumn, type Db } from '../../db/index.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { SEALED } from './store.ts'

/** What sealed columns of an enrollment are sealed for, by the enrollment's id. */
export interface SealedFor {
  unlockToken(enrollmentId: string): string
  bootstrapToken(enrollmentId: string): string
  message(enrollmentId: string): string
}

/** Seals tokens and messages of devices anew that are sealed with the previous secret key; gives their number. */
export async function resealDevices(db: Db, box: SecretBox, sealedFor: SealedFor): Promise<number> {
  const ofEnrollment = (context: (id: string) => string) => (row: { id: string }) => context(row.id)
  const unlock = { ...SEALED.unlockTokens, context: ofEnrollment(sealedFor.unlockToken) }
  const bootstrap = { ...SEALED.bootstrapTokens, context: ofEnrollment(sealedFor.bootstrapToken) }
  const messages = {
    ...SEALED.messages,
    context: (row: { enrollment_id: string }) => sealedFor.message(row.enrollment_id),
  }
  let count = 0
  for (const column of [unlock, bootstrap, messages]) count += await resealColumn(db, box, column)
  return count
}
