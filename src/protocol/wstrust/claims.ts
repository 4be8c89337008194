import { attributeOf, childOf, type XmlElement } from '../xml/index.ts'
import type { Claims } from './result.ts'
import { NS } from './vocabulary.ts'

const IDENTITY = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims'
const UPN_CLAIMS = ['http://schemas.xmlsoap.org/claims/UPN', `${IDENTITY}/upn`]
const EMAIL_CLAIMS = [`${IDENTITY}/emailaddress`, 'http://schemas.xmlsoap.org/claims/EmailAddress']
const DISPLAY_NAME_CLAIMS = [
  'http://schemas.microsoft.com/identity/claims/displayname',
  'http://schemas.xmlsoap.org/claims/CommonName',
]
const IMMUTABLE_ID = ['http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID']
/** A name identifier that is made anew each time (SAML 2.0 core, section 8.3.8). */
const TRANSIENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'
const MAX_CLAIM = 320

/** The SAML 1.1 or 2.0 assertion in a token. */
export function assertionIn(token: XmlElement | undefined): XmlElement | undefined {
  return childOf(token, NS.saml11, 'Assertion') ?? childOf(token, NS.saml20, 'Assertion')
}

/** What an assertion says of the person. It came over TLS from the directory itself; its signature is not looked at. */
export function readClaims(assertion: XmlElement): Claims {
  const values = assertion.namespace === NS.saml11 ? readSaml11(assertion) : readSaml20(assertion)
  const first = (names: readonly string[]) =>
    names.map((name) => sensible(values.get(name))).find((value) => value !== undefined)
  const nameId = nameIdOf(assertion)
  const lasting = nameId && attributeOf(nameId, 'Format') !== TRANSIENT ? sensible(nameId.text) : undefined
  // A name identifier may as well be an opaque number.
  const name =
    first(UPN_CLAIMS) ?? (lasting !== undefined && /^[^@\s]+@[^@\s]+$/.test(lasting) ? lasting : undefined)
  return {
    subject: first(IMMUTABLE_ID) ?? lasting ?? name,
    userName: name,
    email: first(EMAIL_CLAIMS),
    displayName:
      first(DISPLAY_NAME_CLAIMS) ??
      fullName(first([`${IDENTITY}/givenname`]), first([`${IDENTITY}/surname`])),
  }
}

function readSaml11(assertion: XmlElement): Map<string, string> {
  return collect(assertion, NS.saml11, (attribute) => {
    const namespace = attributeOf(attribute, 'AttributeNamespace') ?? ''
    return `${namespace.replace(/\/$/, '')}/${attributeOf(attribute, 'AttributeName') ?? ''}`
  })
}

function readSaml20(assertion: XmlElement): Map<string, string> {
  return collect(assertion, NS.saml20, (attribute) => attributeOf(attribute, 'Name') ?? '')
}

/** The first value of each attribute. */
function collect(assertion: XmlElement, namespace: string, nameOf: (attribute: XmlElement) => string) {
  const statements = assertion.children.filter(
    (child) => child.name === 'AttributeStatement' && child.namespace === namespace,
  )
  const values = new Map<string, string>()
  for (const attribute of statements.flatMap(({ children }) => children)) {
    const value = childOf(attribute, namespace, 'AttributeValue')?.text.trim()
    const name = nameOf(attribute)
    if (value !== undefined && !values.has(name)) values.set(name, value)
  }
  return values
}

function nameIdOf(assertion: XmlElement): XmlElement | undefined {
  const { namespace, children } = assertion
  if (namespace === NS.saml20) return childOf(childOf(assertion, namespace, 'Subject'), namespace, 'NameID')
  const subjects = children.flatMap((statement) => childOf(statement, namespace, 'Subject') ?? [])
  return childOf(subjects[0], namespace, 'NameIdentifier')
}

function sensible(value: string | undefined): string | undefined {
  const text = value?.trim() ?? ''
  return text === '' || text.length > MAX_CLAIM || /\p{Cc}/u.test(text) ? undefined : text
}

function fullName(given: string | undefined, family: string | undefined): string | undefined {
  return [given, family].filter((part) => part !== undefined).join(' ') || undefined
}
