import { childOf, elementsOf, qualifiedName } from '../xml/index.ts'
import type { XmlElement } from '../xml/index.ts'
import { refuse, unavailable } from './result.ts'
import type { PasswordProblem, PasswordRefusal } from './result.ts'
import { NS } from './vocabulary.ts'

interface Fault {
  /** Local name of the most exact code that is of a namespace known here. */
  readonly code: string | undefined
  readonly reason: string
  /** All text of the fault, for Entra ID's codes. */
  readonly everything: string
}

const MAX_REASON = 300
const MAX_TEXT = 16_384
const CODE_NAMESPACES: readonly string[] = [NS.wsse, NS.wst, NS.wsu]

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

/** What the texts of AD FS give away where its codes do not. The order counts. */
const TELLING: readonly (readonly [pattern: RegExp, problem: PasswordProblem])[] = [
  [/password[^.]{0,40}\bexpired|expired[^.]{0,20}\bpassword/i, 'password_expired'],
  [
    /must (be )?change|change (the|your|his|her) password|password change|next (logon|log ?in|sign)/i,
    'password_change_required',
  ],
  [
    /multi-?factor|\bMFA\b|second(ary)? (authentication|factor)|(strong|additional|stronger) authentication/i,
    'mfa_required',
  ],
  [/(account|user)[^.]{0,40}\bdisabled/i, 'user_disabled'],
]

const SIGN_IN_CODES = new Set(['FailedAuthentication', 'RequestFailed'])

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

/** What a fault means. `password` is looked for in the directory's text, which is then left out. */
export function explainFault(element: XmlElement, password: string): PasswordRefusal {
  const fault = element.namespace === NS.soap12 ? readFault12(element) : readFault11(element)
  const said = quote(fault.reason, password)
  const number = /\bAADSTS(\d{5,7})\b/.exec(fault.everything)?.[1]
  const known = number !== undefined && Object.hasOwn(AADSTS, number) ? AADSTS[number] : undefined
  if (known !== undefined) return refuse(known, `Entra ID says AADSTS${number}${said}`)
  if (fault.code !== undefined && SIGN_IN_CODES.has(fault.code)) {
    const told = TELLING.find(([pattern]) => pattern.test(fault.reason))?.[1]
    if (told !== undefined) return refuse(told, `the directory says ${fault.code}${said}`)
  }
  if (fault.code === 'FailedAuthentication') {
    return refuse(
      'invalid_credentials',
      `the directory says FailedAuthentication, which stands for a wrong name or password, a locked or disabled account, or no access to the relying party${said}`,
    )
  }
  const { code = '' } = fault
  const hint = Object.hasOwn(ABOUT_THE_DIRECTORY, code)
    ? ABOUT_THE_DIRECTORY[code]
    : 'the directory answers with a fault that is not about the password'
  return unavailable(`${hint}${code === '' ? '' : ` (${code})`}${said}`)
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
  return {
    code: codes.map(codeIn).findLast((code) => code !== undefined),
    reason: texts.map(({ text }) => text).join(' '),
    everything: allText(fault),
  }
}

/** SOAP 1.1 has no namespace on these, and no subcode. */
function readFault11(fault: XmlElement): Fault {
  const child = (name: string) => fault.children.find((each) => each.name === name)
  const code = child('faultcode')
  return {
    code: code === undefined ? undefined : codeIn(code),
    reason: child('faultstring')?.text ?? '',
    everything: allText(fault),
  }
}

/** The name, if its prefix stands for a namespace that has such codes; one that is not declared is passed over. */
function codeIn(element: XmlElement): string | undefined {
  const { namespace, name } = qualifiedName(element, element.text)
  if (!/^\w{1,64}$/.test(name)) return undefined
  const lenient = namespace === undefined && element.name === 'faultcode'
  return lenient || CODE_NAMESPACES.includes(namespace ?? '') ? name : undefined
}

function allText(fault: XmlElement): string {
  const pieces: string[] = []
  let size = 0
  for (const { text } of elementsOf(fault)) {
    if (size > MAX_TEXT) break
    pieces.push(text)
    size += text.length
  }
  return pieces.join(' ').slice(0, MAX_TEXT)
}

function quote(reason: string, password: string): string {
  const text = reason.replace(/[\p{Cc}\s]+/gu, ' ').trim()
  if (text === '' || text.includes(password.replace(/[\p{Cc}\s]+/gu, ' ').trim())) return ''
  return `: "${text.slice(0, MAX_REASON)}"`
}
