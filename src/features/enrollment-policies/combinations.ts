import { isRecord } from './merge-patch.ts'
import type { Problem } from './types.ts'

type Combination = { path: string; message: string; isWrong: (ade: Record<string, unknown>) => boolean }

/** What Apple does not take together, or would do nothing. Each looks at right values alone: a field may be anything. */
const COMBINATIONS: readonly Combination[] = [
  {
    path: 'ade.locked',
    message: 'needs ade.supervised',
    isWrong: (ade) => ade['locked'] === true && ade['supervised'] === false,
  },
  {
    path: 'ade.await_device_configured',
    message: 'needs ade.supervised',
    isWrong: (ade) => ade['await_device_configured'] === true && ade['supervised'] === false,
  },
  {
    path: 'ade.pairing',
    message: 'require_certificate needs ade.supervised',
    isWrong: (ade) => ade['pairing'] === 'require_certificate' && ade['supervised'] === false,
  },
  {
    path: 'ade.pairing_certificates',
    message: 'must have 1 to 10 certificates, because ade.pairing is require_certificate',
    isWrong: (ade) =>
      ade['pairing'] === 'require_certificate' && isEmpty(ade['pairing_certificates']) === true,
  },
  {
    path: 'ade.pairing_certificates',
    message: 'must be empty unless ade.pairing is require_certificate',
    isWrong: (ade) =>
      (ade['pairing'] === 'allow' || ade['pairing'] === 'disallow') &&
      isEmpty(ade['pairing_certificates']) === false,
  },
]

/** What is wrong with a policy's document as a whole; the single fields may be wrong too. */
export function checkCombinations(document: unknown): Problem[] {
  const ade = isRecord(document) ? document['ade'] : undefined
  if (!isRecord(ade)) return []
  return COMBINATIONS.filter(({ isWrong }) => isWrong(ade)).map(({ path, message }) => ({ path, message }))
}

function isEmpty(list: unknown): boolean | undefined {
  return Array.isArray(list) ? list.length === 0 : undefined
}
