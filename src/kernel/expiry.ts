/** Days before the end at which it is warned, and 0: when it has come. Nearest first. */
const WARNED_DAYS = [0, 1, 7, 14, 30]
const DAY_MS = 24 * 60 * 60 * 1_000

/** Of what ends then, the warning that is due: so many days before, with a reason for its event; undefined for none. */
export function expiryWarning(end: Date, now: Date): { days: number; reason: string } | undefined {
  const leftMs = end.getTime() - now.getTime()
  const days = WARNED_DAYS.find((each) => leftMs <= each * DAY_MS)
  return days === undefined ? undefined : { days, reason: days === 0 ? 'expired' : `${days}_days` }
}
