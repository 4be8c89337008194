import { AppError } from '../../kernel/errors.ts'
import { BEARER, ISSUE, ISSUE_ACTION, NS, PASSWORD_TEXT } from '../../protocol/wstrust/index.ts'
import { attributeOf, childOf, parseXml, type XmlElement } from '../../protocol/xml/index.ts'

/** A request for a token that keeps to the rules. */
export interface TokenRequest {
  readonly messageId: string
  readonly appliesTo: string
  readonly created: Date
  readonly expires: Date
  readonly userName: string
  readonly password: string
}

/** What a client does against WS-Trust 1.3, SOAP 1.2 or WS-Security. */
export class RequestViolation extends Error {
  override readonly name = 'RequestViolation'
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
const MAX_VALID_MS = 10 * 60 * 1000

/** Reads a request and checks all that the specifications ask of it. Throws RequestViolation. */
export function checkTokenRequest(
  request: { contentType: string | undefined; soapAction: string | undefined; body: Buffer },
  endpoint: string,
): TokenRequest {
  insist(/^application\/soap\+xml;\s*charset=utf-8\b/i.test(request.contentType ?? ''), 'the content type')
  insist(request.soapAction?.replaceAll('"', '') === ISSUE_ACTION, 'the SOAPAction')
  const envelope = parse(request.body)
  insist(envelope.namespace === NS.soap12 && envelope.name === 'Envelope', 'the envelope of SOAP 1.2')
  const header = need(envelope, NS.soap12, 'Header')
  insist(understood(header, NS.wsa, 'Action').text.trim() === ISSUE_ACTION, 'the Action')
  insist(understood(header, NS.wsa, 'To').text.trim() === endpoint, 'To, which is the endpoint')
  const messageId = need(header, NS.wsa, 'MessageID').text.trim()
  insist(/^urn:uuid:[0-9a-f-]{36}$/.test(messageId), 'the MessageID')
  const replyTo = need(need(header, NS.wsa, 'ReplyTo'), NS.wsa, 'Address').text.trim()
  insist(replyTo === `${NS.wsa}/anonymous`, 'ReplyTo')
  const appliesTo = checkBody(need(envelope, NS.soap12, 'Body'))
  return { messageId, appliesTo, ...checkSecurity(understood(header, NS.wsse, 'Security')) }
}

function parse(body: Buffer): XmlElement {
  try {
    return parseXml(body)
  } catch (error) {
    throw new RequestViolation(`no XML: ${error instanceof AppError ? error.message : 'unknown'}`)
  }
}

function checkSecurity(security: XmlElement) {
  const timestamp = need(security, NS.wsu, 'Timestamp')
  const created = timeIn(need(timestamp, NS.wsu, 'Created'))
  const expires = timeIn(need(timestamp, NS.wsu, 'Expires'))
  const valid = expires.getTime() - created.getTime()
  insist(valid > 0 && valid <= MAX_VALID_MS, 'a Timestamp of ten minutes at most')
  const token = need(security, NS.wsse, 'UsernameToken')
  const userName = need(token, NS.wsse, 'Username').text
  const password = need(token, NS.wsse, 'Password')
  insist((attributeOf(password, 'Type') ?? PASSWORD_TEXT) === PASSWORD_TEXT, 'the type of the password')
  return { created, expires, userName, password: password.text }
}

function checkBody(body: XmlElement): string {
  const request = need(body, NS.wst, 'RequestSecurityToken')
  const value = (name: string) => childOf(request, NS.wst, name)?.text.trim()
  insist(value('RequestType') === ISSUE, 'the RequestType')
  insist(value('KeyType') === BEARER, 'the KeyType')
  insist([undefined, NS.saml11, NS.saml20].includes(value('TokenType') as undefined), 'the TokenType')
  const reference = need(need(request, NS.wsp, 'AppliesTo'), NS.wsa, 'EndpointReference')
  return need(reference, NS.wsa, 'Address').text.trim()
}

function timeIn(element: XmlElement): Date {
  insist(TIME.test(element.text), `${element.name} in whole seconds of UTC`)
  return new Date(element.text)
}

function understood(header: XmlElement, namespace: string, name: string): XmlElement {
  const element = need(header, namespace, name)
  insist(attributeOf(element, 'mustUnderstand', NS.soap12) === '1', `mustUnderstand of ${name}`)
  return element
}

function need(parent: XmlElement, namespace: string, name: string): XmlElement {
  const found = parent.children.filter((child) => child.name === name && child.namespace === namespace)
  insist(found.length === 1, `exactly one ${name} of namespace ${namespace} in ${parent.name}`)
  return found[0]!
}

function insist(holds: boolean, what: string): asserts holds {
  if (!holds) throw new RequestViolation(`wrong or missing: ${what}`)
}
