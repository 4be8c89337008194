import {
  constants,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import type { Clock } from '../../kernel/clock.ts'
import type { ApnsRequest } from './request.ts'
import { MAX_ANSWER_CHARS } from './response.ts'
import { TransportError, transportErrorOf } from './transport-error.ts'

/** What Apple answered to one request. */
export interface ApnsAnswer {
  status: number
  apnsId: string | undefined
  body: string
}

/** Sends one request on its own stream and reads the answer. Rejects with a TransportError, `Timeout` among them. */
export function exchange(
  session: ClientHttp2Session,
  request: ApnsRequest,
  clock: Clock,
  timeoutMs: number,
): Promise<ApnsAnswer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(request.headers, { endStream: false })
    const stopTimer = clock.after(timeoutMs, () => {
      fail(new TransportError('Timeout'))
      stream.close(constants.NGHTTP2_CANCEL)
    })
    let headers: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined
    let body = ''

    function fail(error: unknown): void {
      stopTimer()
      reject(transportErrorOf(error, 'StreamEnded'))
    }

    stream.setEncoding('utf8')
    stream.on('response', (received) => (headers = received))
    stream.on('data', (chunk: string) => {
      if (body.length < MAX_ANSWER_CHARS) body += chunk
    })
    stream.on('end', () => {
      const status = headers?.[':status']
      if (status === undefined) return fail(undefined)
      stopTimer()
      const apnsId = headers?.['apns-id']
      resolve({ status, apnsId: typeof apnsId === 'string' ? apnsId : undefined, body })
    })
    stream.on('error', fail)
    stream.on('close', () => fail(undefined))
    stream.end(request.body)
  })
}
