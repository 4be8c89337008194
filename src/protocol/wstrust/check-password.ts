import { randomUUID } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import type { HttpClient, UpstreamAnswer } from '../../kernel/http-client.ts'
import { fitsXml } from '../xml/index.ts'
import { explainFailure, readAnswer } from './answer.ts'
import { buildTokenRequest } from './request.ts'
import { refuse, type PasswordResult } from './result.ts'
import { ISSUE_ACTION } from './vocabulary.ts'

const MAX_CREDENTIAL = 1024

/**
 * Asks a directory (AD FS) by WS-Trust 1.3 Username/Mixed whether a password is right: it is when a token comes back. The
 * person is told apart from the directory: `directory_unavailable` is everything that says nothing about the password. One
 * request, never repeated, as each may count towards a lock-out. `signal` gives up early.
 */
export async function checkPassword(options: {
  endpoint: string
  /** Identifier of the relying party. */
  appliesTo: string
  userName: string
  password: string
  http: Pick<HttpClient, 'request'>
  clock: Clock
  signal?: AbortSignal
}): Promise<PasswordResult> {
  const { endpoint, appliesTo, userName, password, http, clock, signal } = options
  if (![userName, password].every(isPossible)) {
    return refuse(
      'invalid_credentials',
      'the user name or the password is empty, too long or holds control characters; the directory was not asked',
    )
  }
  const now = clock.now()
  const body = buildTokenRequest({ endpoint, appliesTo, userName, password, messageId: randomUUID(), now })
  let answer: UpstreamAnswer
  try {
    answer = await http.request({
      method: 'POST',
      url: endpoint,
      headers: { 'content-type': 'application/soap+xml; charset=utf-8', soapaction: ISSUE_ACTION },
      body,
      ...(signal && { signal }),
    })
  } catch (error) {
    return explainFailure(error)
  }
  return readAnswer(answer, password)
}

function isPossible(credential: string): boolean {
  return credential.trim() !== '' && credential.length <= MAX_CREDENTIAL && fitsXml(credential)
}
