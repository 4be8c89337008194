import type { ScriptedCall } from '../../src/simulator/apple-cloud/call-script.ts'

/** Scripted calls of the fake Apple, by what they mean. */
export const adeTroubles = {
  throttled: (retryAfter: number): ScriptedCall => ({ status: 429, code: 'TOO_MANY_REQUESTS', retryAfter }),
  unavailable: (retryAfter?: number): ScriptedCall => ({
    status: 503,
    code: 'SERVICE_UNAVAILABLE',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }),
  sessionLost: { status: 403, code: 'FORBIDDEN' },
  sessionExpired: { status: 401, code: 'EXPIRED_TOKEN' },
  termsNotSigned: { status: 403, code: 'T_C_NOT_SIGNED' },
  accessDenied: { status: 403, code: 'ACCESS_DENIED' },
  tokenRejected: { status: 401, code: 'token_rejected' },
} as const
