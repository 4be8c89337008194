/**
 * Why a message is not acted upon. `unrecognized` tells the device that it is not enrolled here any more, upon which it removes our
 * profile: only for a certificate of ours whose own enrollment has ended.
 */
export interface Refused {
  status: 400 | 403
  reason: string
  unrecognized: boolean
}

/** Undefined: the message was taken. */
export type Verdict = Refused | undefined

/** A refusal; 403 where nothing else is said. */
export function refused(reason: string, how: Partial<Omit<Refused, 'reason'>> = {}): Refused {
  return { status: 403, reason, unrecognized: false, ...how }
}
