import type { IncomingHttpHeaders } from 'node:http2'
import { MAX_PAYLOAD_BYTES } from '../../protocol/apns/index.ts'

const PATH = /^\/3\/device\/((?:[0-9a-f]{2})+)$/i
const PRIORITIES = ['1', '5', '10']
const JSON_TYPE = /^application\/json *(?:; *charset="?utf-?8"?)?$/i
const THIRTY_DAYS_SECONDS = 30 * 24 * 60 * 60
const APNS_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** What Apple would refuse in a request, and in plain words what is wrong with it. */
export interface Violation {
  status: number
  reason: string
  message: string
}

/** A request that Apple would take; what Apple does not need may be missing. */
export interface ValidPush {
  token: string
  magic: string
  topic: string
  expiration: number
}

/**
 * Checks a push as Apple does, and as no client that Apple takes would fail. Servers in Go send it without topic, where the
 * certificate has one alone, without push type, priority and expiration, and with headers of their HTTP client.
 */
export function checkPush(
  headers: IncomingHttpHeaders,
  body: Buffer,
  client: { topic: string; now: Date },
): ValidPush | Violation {
  const token = PATH.exec(headers[':path'] ?? '')?.[1]?.toLowerCase()
  const expiration = Number(headers['apns-expiration'] ?? 0)
  const magic = readMagic(body)
  const refusal =
    checkFraming(headers, token) ??
    checkHeaders(headers, client.topic) ??
    checkExpiration(headers['apns-expiration'], client.now) ??
    checkBody(body, magic)
  if (refusal !== undefined) return refusal
  return { token: token ?? '', magic: magic ?? '', topic: client.topic, expiration }
}

function checkFraming(headers: IncomingHttpHeaders, token: string | undefined): Violation | undefined {
  if (headers[':method'] !== 'POST') return violation(405, 'MethodNotAllowed', 'the method is not POST')
  if (headers[':scheme'] !== 'https') return violation(400, 'BadPath', 'the scheme is not https')
  if (!headers[':authority'] && !headers.host) return violation(400, 'BadPath', 'there is no :authority')
  if (token === undefined) return violation(404, 'BadPath', 'the path is not /3/device/<token in hex>')
  if (headers.authorization !== undefined) {
    return violation(403, 'InvalidProviderToken', 'there is an Authorization beside the certificate')
  }
  return undefined
}

function checkHeaders(headers: IncomingHttpHeaders, topic: string): Violation | undefined {
  if ((headers['apns-topic'] ?? topic) !== topic) {
    return violation(400, 'BadTopic', 'apns-topic is not the UID of the certificate')
  }
  if ((headers['apns-push-type'] ?? 'mdm') !== 'mdm') {
    return violation(400, 'InvalidPushType', 'apns-push-type is not mdm')
  }
  const priority = headers['apns-priority'] ?? '10'
  if (typeof priority !== 'string' || !PRIORITIES.includes(priority)) {
    return violation(400, 'BadPriority', 'apns-priority is none of 1, 5 and 10')
  }
  const id = headers['apns-id']
  if (id !== undefined && !(typeof id === 'string' && APNS_ID.test(id))) {
    return violation(400, 'BadMessageId', 'apns-id is no UUID')
  }
  if (!JSON_TYPE.test(headers['content-type'] ?? 'application/json')) {
    return violation(400, 'BadHeader', 'content-type is not application/json')
  }
  return undefined
}

function checkExpiration(value: string | string[] | undefined, now: Date): Violation | undefined {
  // Without one, or with 0, Apple tries once.
  if (value === undefined || value === '0') return undefined
  const bad = (message: string) => violation(400, 'BadExpirationDate', message)
  if (typeof value !== 'string' || !/^\d{1,10}$/.test(value)) return bad('apns-expiration is no number')
  const ahead = Number(value) - now.getTime() / 1000
  if (ahead < 0) return bad('apns-expiration is in the past')
  if (ahead > THIRTY_DAYS_SECONDS) return bad('apns-expiration is more than 30 days ahead')
  return undefined
}

function checkBody(body: Buffer, magic: string | undefined): Violation | undefined {
  if (body.length === 0) return violation(400, 'PayloadEmpty', 'there is no body')
  if (body.length > MAX_PAYLOAD_BYTES) return violation(413, 'PayloadTooLarge', 'the body is too large')
  if (magic === undefined) return violation(400, 'BadPayload', 'the body is not exactly {"mdm": "<magic>"}')
  return undefined
}

function readMagic(body: Buffer): string | undefined {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as Record<
      string,
      unknown
    >
    const isExact = Object.keys(value).join() === 'mdm' && typeof value['mdm'] === 'string'
    return isExact && value['mdm'] !== '' ? (value['mdm'] as string) : undefined
  } catch {
    return undefined
  }
}

function violation(status: number, reason: string, message: string): Violation {
  return { status, reason, message }
}
