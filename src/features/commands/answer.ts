import { SERVER_DOMAIN } from '../../db/statements/poll.ts'
import type { Delivery } from './store.ts'

/**
 * What a device said to a command: `pending` as long as it may still answer (NotNow is no answer), `none` when it never will:
 * the command was cancelled, has expired, or went out in vain as often as it may.
 */
export type AnswerState = 'pending' | 'acknowledged' | 'error' | 'format_error' | 'none'

/** What became of a command to a device; the chain is Apple's, where it brought one. */
export interface Answer {
  state: AnswerState
  error_chain: unknown
}

/** What a delivery says of that. */
export function answerOf({ state, finished_at, error_chain }: Delivery): Answer {
  if (finished_at === null) return { state: 'pending', error_chain: null }
  if (state === 'acknowledged' || state === 'format_error') return { state, error_chain }
  return { state: state === 'error' && !isOurs(error_chain) ? 'error' : 'none', error_chain }
}

/** Whether an error chain tells that there was no answer. */
function isOurs(chain: unknown): boolean {
  const first: unknown = Array.isArray(chain) ? chain[0] : undefined
  return typeof first === 'object' && first !== null && Reflect.get(first, 'ErrorDomain') === SERVER_DOMAIN
}
