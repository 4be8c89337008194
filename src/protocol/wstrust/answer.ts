import { AppError } from '../../kernel/errors.ts'
import { UpstreamError } from '../../kernel/upstream-error.ts'
import type { UpstreamAnswer } from '../../kernel/http-client.ts'
import { childOf, parseXml, type XmlElement } from '../xml/index.ts'
import { assertionIn, readClaims } from './claims.ts'
import { explainFault, faultIn } from './fault.ts'
import { unavailable, type PasswordRefusal, type PasswordResult } from './result.ts'
import { NS } from './vocabulary.ts'

/** What the answer of the token endpoint means for the person who wants to sign in. */
export function readAnswer(answer: UpstreamAnswer, password: string): PasswordResult {
  const { status } = answer
  const document = readDocument(answer)
  if ('ok' in document) return document
  const body = childOf(envelope(document), document.namespace, 'Body')
  const fault = faultIn(body)
  if (fault !== undefined) return explainFault(fault, password)
  if (status !== 200) return unavailable(explainStatus(answer))
  const token = responseIn(body)
  if (token === undefined) {
    return unavailable('the directory has answered with something that is no WS-Trust 1.3 response')
  }
  const assertion = assertionIn(childOf(token, NS.wst, 'RequestedSecurityToken'))
  if (assertion !== undefined) return { ok: true, ...readClaims(assertion) }
  return unavailable(
    'the response of the directory holds no SAML assertion that can be read: the relying party must get one of version 1.1 or 2.0 that is not encrypted',
  )
}

/** What kept an answer from coming, in words for the administrator. Other errors are passed on. */
export function explainFailure(error: unknown): PasswordRefusal {
  if (error instanceof UpstreamError) return unavailable(error.message)
  throw error
}

/** What a status says when the body says nothing. */
export function explainStatus({ status, headers }: UpstreamAnswer): string {
  if (status === 503) {
    return 'the directory answers 503: the service is down, or the endpoint usernamemixed is disabled (in AD FS: Service > Endpoints, also for the proxy)'
  }
  if (status >= 300 && status < 400) {
    const target = headers.location ?? ''
    const host = URL.canParse(target) ? ` to ${new URL(target).host}` : ''
    return `the directory answers with a redirect${host} (${status}), which is not followed: give the address of the endpoint itself`
  }
  if (status === 404 || status === 405) {
    return `the directory answers ${status}: there is no such endpoint at this address`
  }
  return `the directory answers with status ${status}`
}

/** The answer as XML, or why it is none. */
export function readDocument(answer: UpstreamAnswer): XmlElement | PasswordRefusal {
  try {
    return parseXml(answer.body)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (answer.status !== 200) return unavailable(explainStatus(answer))
    const isPage = /^\s*<(!doctype html|html)/i.test(answer.body.toString('latin1', 0, 512))
    return unavailable(
      isPage
        ? 'the directory has answered with a web page: this is no WS-Trust endpoint'
        : `the answer of the directory cannot be read as XML: ${error.message}`,
    )
  }
}

function envelope(document: XmlElement): XmlElement | undefined {
  const isSoap = document.namespace === NS.soap12 || document.namespace === NS.soap11
  return isSoap && document.name === 'Envelope' ? document : undefined
}

function responseIn(body: XmlElement | undefined): XmlElement | undefined {
  const name = 'RequestSecurityTokenResponse'
  return childOf(childOf(body, NS.wst, `${name}Collection`) ?? body, NS.wst, name)
}
