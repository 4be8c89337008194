import { escapeXml } from '../xml/index.ts'
import { BEARER, ISSUE, ISSUE_ACTION, NS, PASSWORD_TEXT, SAML20_TOKEN } from './vocabulary.ts'

const REQUEST_VALID_MS = 10 * 60 * 1000

/** A RequestSecurityToken of WS-Trust 1.3 with user name and password in the header (Username/Mixed). */
export function buildTokenRequest(options: {
  endpoint: string
  appliesTo: string
  userName: string
  password: string
  /** A UUID. */
  messageId: string
  now: Date
}): string {
  const { endpoint, appliesTo, userName, password, messageId, now } = options
  const expires = new Date(now.getTime() + REQUEST_VALID_MS)
  return `<soap:Envelope xmlns:soap="${NS.soap12}" xmlns:a="${NS.wsa}" xmlns:u="${NS.wsu}" xmlns:o="${NS.wsse}">
 <soap:Header>
  <a:Action soap:mustUnderstand="1">${ISSUE_ACTION}</a:Action>
  <a:MessageID>urn:uuid:${messageId}</a:MessageID>
  <a:ReplyTo><a:Address>${NS.wsa}/anonymous</a:Address></a:ReplyTo>
  <a:To soap:mustUnderstand="1">${escapeXml(endpoint)}</a:To>
  <o:Security soap:mustUnderstand="1">
   <u:Timestamp u:Id="ts"><u:Created>${inSeconds(now)}</u:Created><u:Expires>${inSeconds(expires)}</u:Expires></u:Timestamp>
   <o:UsernameToken u:Id="ut">
    <o:Username>${escapeXml(userName)}</o:Username>
    <o:Password Type="${PASSWORD_TEXT}">${escapeXml(password)}</o:Password>
   </o:UsernameToken>
  </o:Security>
 </soap:Header>
 <soap:Body>
  <t:RequestSecurityToken xmlns:t="${NS.wst}">
   <p:AppliesTo xmlns:p="${NS.wsp}">
    <a:EndpointReference><a:Address>${escapeXml(appliesTo)}</a:Address></a:EndpointReference>
   </p:AppliesTo>
   <t:KeyType>${BEARER}</t:KeyType>
   <t:RequestType>${ISSUE}</t:RequestType>
   <t:TokenType>${SAML20_TOKEN}</t:TokenType>
  </t:RequestSecurityToken>
 </soap:Body>
</soap:Envelope>`
}

function inSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}
