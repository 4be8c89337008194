import type { Act } from '../../kernel/act.ts'
import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { createHttpClient, type UpstreamAnswer } from '../../kernel/http-client.ts'
import type { Events } from '../events/index.ts'
import type { Push } from '../push/index.ts'

const TIMEOUT_MS = 30_000
const MAX_BYTES = 1024 * 1024

/** What Apple wants in the address, and what in the form (Apple, "Creating and using bypass codes"). */
const IN_ADDRESS = ['serial', 'productType', 'imei', 'imei2', 'meid']
const IN_FORM = ['orgName', 'guid', 'escrowKey']
const NEEDED = ['topic', 'serial', 'productType', ...IN_FORM]

/** What asking Apple to lift an Activation Lock is made of. */
export interface EscrowDeps {
  db: Db
  clock: Clock
  userAgent: string
  escrow: { url: string; caPem: string | null }
  events: Pick<Events, 'emit'>
  push: { certificates: Pick<Push['certificates'], 'keyPair'> }
}

/**
 * Gives Apple the code that bypasses an Activation Lock, in a connection in which the push certificate of `topic` shows who
 * asks; `form` has the names of NanoMDM. Gives Apple's answer as it is. Throws `invalid_request`, `not_found` for a topic
 * without a certificate, and UpstreamError.
 */
export async function unlockEscrowKey(
  deps: EscrowDeps,
  form: URLSearchParams,
  act: Act,
): Promise<UpstreamAnswer> {
  const missing = NEEDED.filter((name) => !form.get(name))
  if (missing.length > 0) throw new AppError('invalid_request', `The form lacks ${missing.join(', ')}.`)
  const identity = await deps.push.certificates.keyPair(form.get('topic') ?? '')
  if (identity === undefined) throw new AppError('not_found', 'There is no push certificate of that topic.')
  const { url, caPem } = deps.escrow
  const http = createHttpClient({
    ...(caPem !== null && { caPem }),
    identity,
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_BYTES,
    userAgent: deps.userAgent,
    clock: deps.clock,
  })
  try {
    const answer = await http.request({
      method: 'POST',
      url: `${url}?${only(form, IN_ADDRESS)}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: only(form, IN_FORM),
    })
    await deps.db.transaction((trx) =>
      deps.events.emit(trx, {
        type: 'bypass_code.sent',
        act,
        serial_number: form.get('serial'),
        data: { status: answer.status },
      }),
    )
    return answer
  } finally {
    http.close()
  }
}

function only(form: URLSearchParams, names: readonly string[]): string {
  const entries = names.flatMap((name): [string, string][] => {
    const value = form.get(name)
    return value ? [[name, value]] : []
  })
  return new URLSearchParams(entries).toString()
}
