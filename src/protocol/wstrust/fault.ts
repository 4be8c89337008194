import { childOf, elementsOf, qualifiedName, type XmlElement } from '../xml/index.ts'
import { refuse, unavailable, type PasswordProblem, type PasswordRefusal } from './result.ts'
import { NS } from './vocabulary.ts'

interface Fault {
  /** The codes in namespaces that are known here, from the most general one to the most exact. */
  readonly codes: readonly FaultCode[]
  readonly reason: string
}

interface FaultCode {
  /** Undefined for a prefix that is not declared. */
  readonly namespace: string | undefined
  readonly name: string
}

const MAX_REASON = 300
const CODE_NAMESPACES: readonly string[] = [NS.wsse, NS.wst, NS.wst2005, NS.wsu, NS.adfs]

/** What Entra ID's numbers mean (Microsoft: Microsoft Entra authentication and authorization error codes). */
const AADSTS: Record<string, PasswordProblem> = {
  50126: 'invalid_credentials',
  50056: 'invalid_credentials',
  50053: 'invalid_credentials',
  50055: 'password_expired',
  50144: 'password_expired',
  50142: 'password_change_required',
  50072: 'mfa_required',
  50074: 'mfa_required',
  50076: 'mfa_required',
  50079: 'mfa_required',
  50158: 'mfa_required',
  50057: 'user_disabled',
  50034: 'user_unknown',
}

/** The one class of AD FS's own codes that is about the person; what follows its dot is the reason. */
const FAILED_AUTHENTICATION = 'FailedAuthentication'
const EXPIRED_PASSWORD = `${FAILED_AUTHENTICATION}.ExpiredPassword`

const ABOUT_THE_DIRECTORY: Record<string, string> = {
  InvalidScope:
    'the directory does not know the relying party: compare applies_to with its relying party identifiers',
  MessageExpired: 'the clocks of this server and the directory are too far apart',
  ExpiredData: 'the clocks of this server and the directory are too far apart',
  InvalidTimeRange: 'the clocks of this server and the directory are too far apart',
  InvalidSecurity:
    'the directory does not accept the security header: compare the clocks, and whether this is its UsernameMixed endpoint',
  RequestFailed: 'the directory could not handle the request: compare applies_to and its policies',
}

/** The SOAP fault in a body: 1.2 as WS-Trust 1.3 wants it, or 1.1. */
export function faultIn(body: XmlElement | undefined): XmlElement | undefined {
  return childOf(body, NS.soap12, 'Fault') ?? childOf(body, NS.soap11, 'Fault')
}

/**
 * What a fault means: its codes alone decide, as the text is in whatever language the directory speaks. `password` is looked for
 * in that text, which is then left out.
 */
export function explainFault(element: XmlElement, password: string): PasswordRefusal {
  const fault = element.namespace === NS.soap12 ? readFault12(element) : readFault11(element)
  const said = quote(fault.reason, password)
  const number = entraNumberIn(element)
  const known = number !== undefined && Object.hasOwn(AADSTS, number) ? AADSTS[number] : undefined
  if (known !== undefined) return refuse(known, `Entra ID says AADSTS${number}${said}`)
  // AD FS's own code says more than a general one, wherever it stands.
  const code = fault.codes.findLast(({ namespace }) => namespace === NS.adfs) ?? fault.codes.at(-1)
  const { name = '' } = code ?? {}
  const isOwn = code?.namespace === NS.adfs
  if (isOwn && name === EXPIRED_PASSWORD) return refuse('password_expired', `AD FS says ${name}${said}`)
  if (name === FAILED_AUTHENTICATION || (isOwn && name.startsWith(`${FAILED_AUTHENTICATION}.`))) {
    return refuse(
      'invalid_credentials',
      `the directory says ${name}, which stands for a wrong name or password, a locked or disabled account, or no access to the relying party${said}`,
    )
  }
  const hint =
    !isOwn && Object.hasOwn(ABOUT_THE_DIRECTORY, name)
      ? ABOUT_THE_DIRECTORY[name]
      : 'the directory answers with a fault that is not about the password'
  return unavailable(`${hint}${name === '' ? '' : ` (${name})`}${said}`)
}

function readFault12(fault: XmlElement): Fault {
  const codes: XmlElement[] = []
  let at = childOf(fault, NS.soap12, 'Code')
  while (at !== undefined) {
    const value = childOf(at, NS.soap12, 'Value')
    if (value !== undefined) codes.push(value)
    at = childOf(at, NS.soap12, 'Subcode')
  }
  const texts = childOf(fault, NS.soap12, 'Reason')?.children.filter(({ name }) => name === 'Text') ?? []
  return { codes: codes.flatMap(codeIn), reason: texts.map(({ text }) => text).join(' ') }
}

/** SOAP 1.1 has no namespace on these, and no subcode. */
function readFault11(fault: XmlElement): Fault {
  const child = (name: string) => fault.children.find((each) => each.name === name)
  const code = child('faultcode')
  return { codes: code === undefined ? [] : codeIn(code), reason: child('faultstring')?.text ?? '' }
}

/** The code, if its prefix stands for a namespace that has such codes; one that is not declared is passed over. */
function codeIn(element: XmlElement): FaultCode[] {
  const { namespace, name } = qualifiedName(element, element.text)
  if (!/^[\w.]{1,128}$/.test(name)) return []
  const lenient = namespace === undefined && element.name === 'faultcode'
  return lenient || CODE_NAMESPACES.includes(namespace ?? '') ? [{ namespace, name }] : []
}

/** The number that Entra ID's own token service gives in the fault's details (`psf:internalerror`, `psf:text`). */
function entraNumberIn(fault: XmlElement): string | undefined {
  for (const error of elementsOf(fault)) {
    if (error.namespace !== NS.psf || error.name !== 'internalerror') continue
    const number = /\bAADSTS(\d{5,7})\b/.exec(childOf(error, NS.psf, 'text')?.text ?? '')?.[1]
    if (number !== undefined) return number
  }
  return undefined
}

function quote(reason: string, password: string): string {
  const text = reason.replace(/[\p{Cc}\s]+/gu, ' ').trim()
  if (text === '' || text.includes(password.replace(/[\p{Cc}\s]+/gu, ' ').trim())) return ''
  return `: "${text.slice(0, MAX_REASON)}"`
}
