import { resealColumn } from '../../../db/index.ts'
import type { AdeDeps } from '../deps.ts'
import { tokenContext } from './apple.ts'
import { keyContext } from './keys.ts'
import { SEALED } from './store.ts'

/** Seals token keys and tokens anew that are sealed with the previous secret key; gives the number of values. */
export async function reseal({ db, secretBox }: Pick<AdeDeps, 'db' | 'secretBox'>): Promise<number> {
  const keys = {
    ...SEALED.keys,
    context: (row: { certificate: Buffer }) => keyContext(row.certificate),
  }
  const stagedKeys = {
    ...SEALED.stagedKeys,
    context: (row: { staged_certificate: Buffer }) => keyContext(row.staged_certificate),
  }
  const tokens = { ...SEALED.tokens, context: ({ id }: { id: string }) => tokenContext(id) }
  let count = 0
  for (const column of [keys, stagedKeys, tokens]) count += await resealColumn(db, secretBox, column)
  return count
}
