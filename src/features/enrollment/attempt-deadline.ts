/** A device that has not come to Authenticate within this time after it got its profile went nowhere. */
export const ATTEMPT_MINUTES = 60
