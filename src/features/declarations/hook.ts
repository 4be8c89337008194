import { createHmac, timingSafeEqual } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import type { HttpClient, UpstreamAnswer } from '../../kernel/http-client.ts'
import { below } from '../../kernel/urls.ts'
import { CHANNEL_NAMES, type ChannelIdentity } from '../../protocol/mdm/index.ts'

/** Questions that wait for an answer at a time; a device whose question is one too many asks again later. */
const MOST_WAITING = 256
const HMAC_HEADER = 'x-hmac-signature'
/** What a device has to know of an answer; anything else is an error of the declaration server. */
const TOLD = new Set([400, 403, 404, 409, 410, 413, 429])

/** The keys of HMAC-SHA-256 with which the bodies of questions are signed, and those of answers must be. */
interface HmacKeys {
  send: Buffer | null
  verify: Buffer | null
}

/** Which channel asks. */
interface Asker {
  id: string
  deviceId: string
  type: ChannelIdentity['type']
}

/** A declaration server, which is asked what devices ask; null when there is none. */
export type DeclarationHook = ReturnType<typeof createDeclarationHook> | null

/**
 * Passes what devices ask of declarative management to another server, as NanoMDM's `-dm` does: a GET, or a PUT where the device
 * sends data, of the endpoint below `url`.
 */
export function createDeclarationHook(deps: {
  url: string
  keys: HmacKeys
  http: Pick<HttpClient, 'request'>
}) {
  const { url, keys, http } = deps
  let waiting = 0

  async function request(asker: Asker, endpoint: string, data: Uint8Array): Promise<UpstreamAnswer> {
    const isReport = data.length > 0
    return http.request({
      method: isReport ? 'PUT' : 'GET',
      url: below(url, endpoint.replaceAll('?', '%3F').replaceAll('#', '%23')),
      headers: {
        'x-enrollment-id': asker.id,
        'x-enrollment-type': CHANNEL_NAMES[asker.type],
        ...(asker.id !== asker.deviceId && { 'x-enrollment-parentid': asker.deviceId }),
        ...(isReport && { 'content-type': 'application/json' }),
        ...(keys.send !== null && { [HMAC_HEADER]: hmacOf(keys.send, data).toString('base64') }),
      },
      ...(isReport && { body: data }),
    })
  }

  /**
   * What is to be answered to a device: 200 with what the declaration server said, or a status that the device has to know. Throws
   * `message_invalid` for an endpoint that names nothing, `overloaded`, and `upstream_unavailable` for every other answer.
   */
  return async function ask(
    asker: Asker,
    { endpoint, data = new Uint8Array() }: { endpoint: string; data?: Uint8Array | undefined },
  ): Promise<{ status: number; body: Buffer | null }> {
    if (waiting >= MOST_WAITING) throw new AppError('overloaded', 'The declaration server is too slow.')
    waiting += 1
    try {
      const { status, headers, body } = await request(asker, endpoint, data)
      if (keys.verify !== null && !isSigned(keys.verify, body, headers[HMAC_HEADER]))
        throw new AppError(
          'upstream_unavailable',
          'The answer of the declaration server is not signed as agreed.',
        )
      if (status === 200 || status === 204) return { status: 200, body: body.length > 0 ? body : null }
      if (TOLD.has(status)) return { status, body: null }
      throw new AppError('upstream_unavailable', `The declaration server has answered with ${status}.`)
    } finally {
      waiting -= 1
    }
  }
}

function hmacOf(key: Buffer, body: Uint8Array): Buffer {
  return createHmac('sha256', key).update(body).digest()
}

function isSigned(key: Buffer, body: Buffer, header: string | string[] | undefined): boolean {
  const given = Buffer.from(typeof header === 'string' ? header : '', 'base64')
  const right = hmacOf(key, body)
  return given.length === right.length && timingSafeEqual(given, right)
}
