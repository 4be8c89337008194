import { randomUUID } from 'node:crypto'
import { ISSUE_ACTION, NS } from '../../protocol/wstrust/index.ts'
import { escapeXml } from '../../protocol/xml/index.ts'

const UPN = 'http://schemas.xmlsoap.org/claims/UPN'
const EMAIL = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress'
const DISPLAY_NAME = 'http://schemas.microsoft.com/identity/claims/displayname'

/** A person that the directory vouches for. */
export interface Subject {
  readonly userName: string
  readonly email?: string
  readonly displayName?: string
}

/** What a fault says. `namespace` is that of the code (default WS-Security); `entra`: the details of Entra ID's own service. */
export interface FaultFields {
  readonly code: string
  readonly reason: string
  readonly namespace?: string
  readonly entra?: string
}

/** A SOAP 1.2 fault as AD FS writes it. */
export function faultAnswer({ code, reason, namespace = NS.wsse, entra }: FaultFields): string {
  const detail =
    entra === undefined
      ? ''
      : `<s:Detail><psf:error xmlns:psf="${NS.psf}"><psf:value>0x80048821</psf:value><psf:internalerror><psf:text>${escapeXml(entra)}</psf:text></psf:internalerror></psf:error></s:Detail>`
  return envelope(
    `${NS.wsa}/soap/fault`,
    `<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:b="${namespace}">b:${code}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">${escapeXml(reason)}</s:Text></s:Reason>${detail}</s:Fault>`,
  )
}

/** The collection with one token, for the request with this MessageID. */
export function tokenAnswer(
  subject: Subject,
  options: { appliesTo: string; messageId: string; now: Date; saml: '1.1' | '2.0' },
): string {
  const { appliesTo, messageId, now, saml } = options
  const [from, until] = [now, new Date(now.getTime() + 3_600_000)].map((time) => time.toISOString())
  const assertion = saml === '1.1' ? saml11(subject, now) : saml20(subject, now)
  return envelope(
    `${NS.wst}/RSTRC/IssueFinal`,
    `<trust:RequestSecurityTokenResponseCollection xmlns:trust="${NS.wst}"><trust:RequestSecurityTokenResponse><trust:Lifetime><wsu:Created xmlns:wsu="${NS.wsu}">${from}</wsu:Created><wsu:Expires xmlns:wsu="${NS.wsu}">${until}</wsu:Expires></trust:Lifetime><wsp:AppliesTo xmlns:wsp="${NS.wsp}"><wsa:EndpointReference xmlns:wsa="${NS.wsa}"><wsa:Address>${escapeXml(appliesTo)}</wsa:Address></wsa:EndpointReference></wsp:AppliesTo><trust:RequestedSecurityToken>${assertion}</trust:RequestedSecurityToken><trust:TokenType>${saml === '1.1' ? NS.saml11 : NS.saml20}</trust:TokenType><trust:RequestType>${NS.wst}/Issue</trust:RequestType><trust:KeyType>${NS.wst}/Bearer</trust:KeyType></trust:RequestSecurityTokenResponse></trust:RequestSecurityTokenResponseCollection>`,
    messageId,
  )
}

/** The MEX document that names the endpoint, besides one of the 2005 version. */
export function mexAnswer(endpoint: string): string {
  const policy = (id: string, namespace: string) =>
    `<wsp:Policy wsu:Id="${id}"><wsp:ExactlyOne><wsp:All><sp:TransportBinding xmlns:sp="${namespace}"/><sp:SignedEncryptedSupportingTokens xmlns:sp="${namespace}"><wsp:Policy><sp:UsernameToken><wsp:Policy><sp:WssUsernameToken10/></wsp:Policy></sp:UsernameToken></wsp:Policy></sp:SignedEncryptedSupportingTokens></wsp:All></wsp:ExactlyOne></wsp:Policy>`
  const binding = (name: string, id: string, action: string) =>
    `<wsdl:binding name="${name}" type="tns:Trust"><wsp:PolicyReference URI="#${id}"/><soap12:binding transport="http://schemas.xmlsoap.org/soap/http"/><wsdl:operation name="Issue"><soap12:operation soapAction="${action}" style="document"/></wsdl:operation></wsdl:binding>`
  const port = (name: string, address: string) =>
    `<wsdl:port name="${name}" binding="tns:${name}"><soap12:address location="${escapeXml(address)}"/><wsa:EndpointReference><wsa:Address>${escapeXml(address)}</wsa:Address></wsa:EndpointReference></wsdl:port>`
  const old = 'http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue'
  return `<?xml version="1.0" encoding="utf-8"?><wsdl:definitions name="SecurityTokenService" targetNamespace="http://tempuri.org/" xmlns:tns="http://tempuri.org/" xmlns:wsdl="${NS.wsdl}" xmlns:soap12="${NS.wsdlSoap12}" xmlns:wsp="${NS.wsp}" xmlns:wsa="${NS.wsa}" xmlns:wsu="${NS.wsu}">${policy('old', 'http://schemas.xmlsoap.org/ws/2005/07/securitypolicy')}${policy('mixed', NS.sp)}${binding('UserNameMixed2005', 'old', old)}${binding('UserNameMixed13', 'mixed', ISSUE_ACTION)}<wsdl:service name="SecurityTokenService">${port('UserNameMixed2005', endpoint.replace('/13/', '/2005/'))}${port('UserNameMixed13', endpoint)}</wsdl:service></wsdl:definitions>`
}

function envelope(action: string, body: string, relatesTo?: string): string {
  const relates = relatesTo === undefined ? '' : `<a:RelatesTo>${escapeXml(relatesTo)}</a:RelatesTo>`
  return `<s:Envelope xmlns:s="${NS.soap12}" xmlns:a="${NS.wsa}"><s:Header><a:Action s:mustUnderstand="1">${action}</a:Action>${relates}</s:Header><s:Body>${body}</s:Body></s:Envelope>`
}

function saml20({ userName, email, displayName }: Subject, now: Date): string {
  const attribute = (name: string, value: string | undefined) =>
    value === undefined
      ? ''
      : `<Attribute Name="${name}"><AttributeValue>${escapeXml(value)}</AttributeValue></Attribute>`
  return `<Assertion xmlns="${NS.saml20}" ID="_${randomUUID()}" IssueInstant="${now.toISOString()}" Version="2.0"><Issuer>http://fs.example.com/adfs/services/trust</Issuer><Subject><NameID>${escapeXml(userName)}</NameID></Subject><AttributeStatement>${attribute(UPN, userName)}${attribute(EMAIL, email)}${attribute(DISPLAY_NAME, displayName)}</AttributeStatement></Assertion>`
}

function saml11({ userName, email, displayName }: Subject, now: Date): string {
  const subject = `<saml:Subject><saml:NameIdentifier>${escapeXml(userName)}</saml:NameIdentifier></saml:Subject>`
  const attribute = (claim: string, value: string | undefined) => {
    const [, namespace, name] = /^(.*)\/([^/]*)$/.exec(claim) ?? []
    return value === undefined
      ? ''
      : `<saml:Attribute AttributeName="${name}" AttributeNamespace="${namespace}"><saml:AttributeValue>${escapeXml(value)}</saml:AttributeValue></saml:Attribute>`
  }
  return `<saml:Assertion xmlns:saml="${NS.saml11}" MajorVersion="1" MinorVersion="1" AssertionID="_${randomUUID()}" Issuer="http://fs.example.com/adfs/services/trust" IssueInstant="${now.toISOString()}"><saml:AttributeStatement>${subject}${attribute(UPN, userName)}${attribute(EMAIL, email)}${attribute(DISPLAY_NAME, displayName)}</saml:AttributeStatement></saml:Assertion>`
}
