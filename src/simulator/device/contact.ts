import { writePlist, type PlistDict } from '../../protocol/plist/index.ts'
import { keyToPem, writePem, type Identity } from '../../protocol/x509/index.ts'
import { ConnectionLost, MalformedHttp, type DeviceHttp, type HttpAnswer } from '../wire/device-http.ts'
import { signBody } from '../wire/signing.ts'
import { mediaType } from '../wire/strict-reading.ts'
import type { ReportViolation } from '../wire/violations.ts'

/** What a message came to, as a device understands it. */
export type Reply =
  | { kind: 'ok'; body: Buffer; mediaType: string }
  /** The server does not know this device any more: it un-enrols. */
  | { kind: 'unmanaged' }
  /** Try again later: nobody there (`status` undefined), or too busy. */
  | { kind: 'later'; status?: number }
  | { kind: 'refused'; status: number }

/** Sends a device's MDM messages, signed, and judges the answers. */
export type Contact = ReturnType<typeof createContact>

const CHECK_IN_TYPE = 'application/x-apple-aspen-mdm-checkin'
const CONNECT_TYPE = 'application/x-apple-aspen-mdm; charset=UTF-8'

/**
 * The sender of one device. `present`: where and as whom it talks, asked for each message, as identity and profile
 * change; `tls`: it shows the identity in the TLS handshake instead of signing.
 */
export function createContact(deps: {
  http: DeviceHttp
  present: () => { profile: { serverUrl: string; checkInUrl: string }; identity: Identity }
  isMac: boolean
  tls: boolean
  report: ReportViolation
}) {
  const { http, present, isMac, tls, report } = deps

  async function put(url: string, contentType: string, message: PlistDict): Promise<Reply> {
    const { identity } = present()
    const body = Buffer.from(writePlist(message))
    const headers: Record<string, string> = { 'content-type': contentType, 'user-agent': 'MDM/1.0' }
    if (!tls) headers['mdm-signature'] = await signBody(body, identity, isMac)
    const what = describe(message)
    try {
      const answer = await http.send({
        method: 'PUT',
        url,
        headers,
        body,
        ...(tls ? { identity: toPem(identity) } : {}),
      })
      return judge(answer, what, report)
    } catch (error) {
      if (error instanceof ConnectionLost) return { kind: 'later' }
      if (!(error instanceof MalformedHttp)) throw error
      report('malformed_http', `${what}: ${error.message}`)
      return { kind: 'later' }
    }
  }

  return {
    checkIn: (message: PlistDict) => put(present().profile.checkInUrl, CHECK_IN_TYPE, message),
    connect: (message: PlistDict) => put(present().profile.serverUrl, CONNECT_TYPE, message),
  }
}

function toPem({ certificate, key }: Identity): { cert: string; key: string } {
  return { cert: writePem('CERTIFICATE', certificate.der), key: keyToPem(key) }
}

/** Statuses by what they make a device do (protocol section 1, "HTTP status as seen by the client"). */
function judge(answer: HttpAnswer, what: string, report: ReportViolation): Reply {
  const { status, body } = answer
  const type = mediaType(answer.headers['content-type'])
  if (status === 200) return { kind: 'ok', body, mediaType: type }
  if (status === 401) {
    report('unauthorized', `${what} was answered with 401`)
    return { kind: 'unmanaged' }
  }
  if (status === 403 && body.includes('com.apple.unrecognized.device')) {
    if (type === '')
      report('wrong_content_type', `${what}: com.apple.unrecognized.device without a content type`)
    return { kind: 'unmanaged' }
  }
  if (status === 429 || status >= 500) return { kind: 'later', status }
  return { kind: 'refused', status }
}

function describe(message: PlistDict): string {
  const { MessageType: type, Status: status, CommandUUID: uuid } = message
  const parts = [type, status, uuid].filter((part) => typeof part === 'string')
  return parts.join(' ')
}
