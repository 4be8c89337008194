/** A link of an ErrorChain, as devices give it. */
type Link = { ErrorDomain?: unknown; ErrorCode?: unknown }

/** What a failure means for the next try. */
interface FailureClass {
  /** `failed`, or a thing that passes by itself. */
  state: 'failed' | 'waiting'
  reason: string
  /** Minutes to the next tries, the last one for all that follow; none: only a person or a new revision brings another try. */
  pauses: readonly number[]
}

const SOON = [1, 5, 15, 60, 360, 1_440] as const
const LATER = [15, 60, 360, 1_440] as const
const DAILY = [1_440] as const

/** Codes of MCMDMErrorDomain that say more than that it has failed (Apple gives no list; these are seen in the field). */
const LOST_MODE = 12_078
/** A profile is not there, or not ours; an app is not managed. */
const NOT_THERE = new Set([12_013, 12_075, 12_029])
/** What a Mac says of a profile that is not there, in MDMClientError. */
const NOT_ON_MAC = 89
const UNKNOWN_REQUEST = 12_021
/** Of DeviceManagement.error: somebody is being asked already. */
const BUSY = 1_407

/** A profile that cannot be right however often it is sent: its payload, or its signature. */
const PROFILE_DOMAINS = ['MCProfileErrorDomain', 'MCPayloadErrorDomain']

/** What the device's error to an install or a removal means. */
export function classOf(state: 'error' | 'format_error', chain: unknown): FailureClass {
  if (state === 'format_error') return { state: 'failed', reason: 'format_error', pauses: DAILY }
  const links = linksOf(chain)
  const has = (code: number) => links.some((link) => Number(link.ErrorCode) === code)
  if (has(LOST_MODE)) return { state: 'waiting', reason: 'lost_mode', pauses: LATER }
  if (has(UNKNOWN_REQUEST)) return { state: 'failed', reason: 'not_supported', pauses: DAILY }
  if (has(BUSY)) return { state: 'failed', reason: 'device_busy', pauses: SOON }
  const isOfProfile = links.some(({ ErrorDomain }) => PROFILE_DOMAINS.includes(String(ErrorDomain)))
  return { state: 'failed', reason: 'error', pauses: isOfProfile ? DAILY : LATER }
}

/** The device says that what is to be removed is not there, or not ours to remove. */
export function saysNotThere(chain: unknown): boolean {
  return linksOf(chain).some(
    ({ ErrorDomain, ErrorCode }) =>
      NOT_THERE.has(Number(ErrorCode)) ||
      (ErrorDomain === 'MDMClientError' && Number(ErrorCode) === NOT_ON_MAC),
  )
}

/** When something is tried again after so many failures in a row; null when it is not by itself. */
export function nextTry(pauses: readonly number[], attempts: number, now: Date): Date | null {
  const minutes = pauses[Math.min(attempts, pauses.length) - 1]
  return minutes === undefined ? null : new Date(now.getTime() + minutes * 60_000)
}

/** One dictionary instead of an array is seen in the field. */
function linksOf(chain: unknown): Link[] {
  const links: unknown[] = Array.isArray(chain) ? chain : [chain]
  return links.filter((link): link is Link => typeof link === 'object' && link !== null)
}
