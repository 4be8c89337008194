/** Namespaces of WS-Trust 1.3 and what it stands on, by the prefixes that their specifications use. */
export const NS = {
  soap12: 'http://www.w3.org/2003/05/soap-envelope',
  soap11: 'http://schemas.xmlsoap.org/soap/envelope/',
  wsa: 'http://www.w3.org/2005/08/addressing',
  wsu: 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd',
  wsse: 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd',
  wst: 'http://docs.oasis-open.org/ws-sx/ws-trust/200512',
  wst2005: 'http://schemas.xmlsoap.org/ws/2005/02/trust',
  /** AD FS's own reasons. */
  adfs: 'http://schemas.microsoft.com/ws/2009/12/identityserver/',
  /** Details of Entra ID's token service. */
  psf: 'http://schemas.microsoft.com/Passport/SoapServices/SOAPFault',
  wsp: 'http://schemas.xmlsoap.org/ws/2004/09/policy',
  wsp15: 'http://www.w3.org/ns/ws-policy',
  sp: 'http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702',
  wsdl: 'http://schemas.xmlsoap.org/wsdl/',
  wsdlSoap12: 'http://schemas.xmlsoap.org/wsdl/soap12/',
  saml11: 'urn:oasis:names:tc:SAML:1.0:assertion',
  saml20: 'urn:oasis:names:tc:SAML:2.0:assertion',
} as const

/** Action of a request for a token, in SOAP and in HTTP. */
export const ISSUE_ACTION = `${NS.wst}/RST/Issue`

/** Type of a password that is sent as it is. */
export const PASSWORD_TEXT =
  'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText'

/** The value of `KeyType`, of `RequestType` and of `TokenType`. */
export const BEARER = `${NS.wst}/Bearer`
export const ISSUE = `${NS.wst}/Issue`
export const SAML20_TOKEN = NS.saml20
