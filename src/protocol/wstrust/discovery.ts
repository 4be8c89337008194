import type { HttpClient, UpstreamAnswer } from '../../kernel/http-client.ts'
import { isLoopbackHost } from '../../kernel/loopback.ts'
import { attributeOf, childOf, elementsOf, qualifiedName, type XmlElement } from '../xml/index.ts'
import { explainFailure, explainStatus, readDocument } from './answer.ts'
import { unavailable, type PasswordRefusal } from './result.ts'
import { ISSUE_ACTION, NS } from './vocabulary.ts'

/** The endpoint, and whether it was given or found in a MEX document; or why there is none. */
export type Discovery =
  { readonly ok: true; readonly endpoint: string; readonly source: 'given' | 'mex' } | PasswordRefusal

/**
 * Finds the endpoint for WS-Trust 1.3 Username/Mixed. An address whose path ends in `/usernamemixed` is the endpoint itself
 * and costs no request. Every other one is fetched: a WSDL is the MEX document that names the endpoint; when something else
 * is there, the address is the endpoint, unless its path ends in `/mex`. A document that was read over https leads to https
 * alone, one from loopback over http also to http on loopback. The answer may be kept for as long as the address
 * stays the same.
 */
export async function discoverEndpoint(options: {
  url: string
  http: Pick<HttpClient, 'request'>
  signal?: AbortSignal
}): Promise<Discovery> {
  const { url, http, signal } = options
  const given = { ok: true, endpoint: url, source: 'given' } as const
  if (hasPathEnd(url, /\/usernamemixed\/?$/i)) return given
  const isMex = hasPathEnd(url, /\/mex\/?$/i)
  let answer: UpstreamAnswer
  try {
    answer = await http.request({ method: 'GET', url, ...(signal && { signal }) })
  } catch (error) {
    return explainFailure(error)
  }
  if (answer.status !== 200) return isMex ? unavailable(`${explainStatus(answer)} (MEX document)`) : given
  const document = readDocument(answer)
  if ('ok' in document) return isMex ? document : given
  const isWsdl = [...elementsOf(document)].some((element) => is(element, NS.wsdl, 'definitions'))
  return isMex || isWsdl ? endpointIn(document, new URL(url).protocol) : given
}

function hasPathEnd(url: string, end: RegExp): boolean {
  return URL.canParse(url) && end.test(new URL(url).pathname)
}

/** `protocol` is that by which the document came: one that came by https leads to https alone. */
function endpointIn(document: XmlElement, protocol: string): Discovery {
  const all = [...elementsOf(document)]
  const policies = new Set(all.filter(isUserNamePolicy).map((policy) => attributeOf(policy, 'Id', NS.wsu)))
  const bindings = new Set(
    all.filter((element) => isIssueBinding(element, policies)).map((each) => attributeOf(each, 'name')),
  )
  const addresses = all
    .filter(
      (each) =>
        is(each, NS.wsdl, 'port') &&
        bindings.has(qualifiedName(each, attributeOf(each, 'binding') ?? '').name),
    )
    .flatMap((port) => addressOf(port) ?? [])
  const endpoint = addresses.find((address) => isAllowed(address, protocol))
  if (endpoint !== undefined) return { ok: true, endpoint, source: 'mex' }
  const [refused] = addresses
  return unavailable(
    refused === undefined
      ? 'the MEX document names no endpoint for WS-Trust 1.3 with user name and password: is usernamemixed enabled?'
      : `the MEX document names an endpoint for user name and password that is not https${hostOf(refused)}`,
  )
}

function hostOf(address: string): string {
  return URL.canParse(address) ? ` (at ${new URL(address).host})` : ''
}

/** A policy of TLS with a user name token in the header. */
function isUserNamePolicy(policy: XmlElement): boolean {
  if (policy.name !== 'Policy' || attributeOf(policy, 'Id', NS.wsu) === undefined) return false
  const inside = [...elementsOf(policy)]
  const has = (name: string) => inside.some((element) => is(element, NS.sp, name))
  return has('TransportBinding') && inside.some(isUserNameToken)
}

function isUserNameToken(supporting: XmlElement): boolean {
  if (!is(supporting, NS.sp, 'SignedEncryptedSupportingTokens')) return false
  const inside = [...elementsOf(supporting)]
  return (
    inside.some((element) => is(element, NS.sp, 'UsernameToken')) &&
    inside.some((element) => is(element, NS.sp, 'WssUsernameToken10'))
  )
}

/** A SOAP 1.2 binding with such a policy, whose operation issues tokens of WS-Trust 1.3. */
function isIssueBinding(element: XmlElement, policies: ReadonlySet<string | undefined>): boolean {
  if (!is(element, NS.wsdl, 'binding')) return false
  const references = element.children.filter(
    ({ name, namespace }) => name === 'PolicyReference' && (namespace === NS.wsp || namespace === NS.wsp15),
  )
  const operations = element.children.filter((child) => is(child, NS.wsdl, 'operation'))
  return (
    references.some((reference) => policies.has(attributeOf(reference, 'URI')?.replace(/^#/, ''))) &&
    operations
      .map((operation) => childOf(operation, NS.wsdlSoap12, 'operation'))
      .some((soap) => soap !== undefined && attributeOf(soap, 'soapAction') === ISSUE_ACTION)
  )
}

function addressOf(port: XmlElement): string | undefined {
  const reference = childOf(childOf(port, NS.wsa, 'EndpointReference'), NS.wsa, 'Address')?.text.trim()
  const soap = childOf(port, NS.wsdlSoap12, 'address')
  return reference || (soap && attributeOf(soap, 'location'))
}

function isAllowed(address: string, from: string): boolean {
  if (!URL.canParse(address)) return false
  const { protocol, hostname } = new URL(address)
  return protocol === 'https:' || (protocol === 'http:' && from === 'http:' && isLoopbackHost(hostname))
}

function is(element: XmlElement, namespace: string, name: string): boolean {
  return element.name === name && element.namespace === namespace
}
