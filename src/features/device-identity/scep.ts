import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Log } from '../../kernel/log.ts'
import { OID, readText } from '../../protocol/asn1/index.ts'
import { attributeValue, type ContentCipher, type UnwrapKey } from '../../protocol/cms/index.ts'
import {
  buildFailure,
  buildSuccess,
  caCapabilities,
  caCertificates,
  openRequest,
  parsePkiMessage,
  readUnsupported,
  type Answerable,
  type FailInfo,
  type PkiMessage,
} from '../../protocol/scep/index.ts'
import type { CertificateRequest, Identity } from '../../protocol/x509/index.ts'
import type { Events } from '../events/index.ts'
import type { Authority } from './authority.ts'
import type { createIssuance } from './issuance.ts'
import type { RequestFacts } from './refusals.ts'

const REQUESTS: ReadonlySet<string> = new Set(['PKCSReq', 'RenewalReq', 'UpdateReq'])

/** Where a message came from. */
type Source = Omit<RequestFacts, 'transaction_id'>

/** A request that was opened, and the CA that it was encrypted to. */
interface Opened {
  csr: CertificateRequest
  cipher: ContentCipher
  identity: Identity
}

interface ScepDeps {
  clock: Clock
  log: Log
  events: Events
  authority: Authority
  issuance: ReturnType<typeof createIssuance>
  /** Decrypts content keys off the event loop. */
  unwrap: UnwrapKey
}

/** The SCEP service (RFC 8894): from message bytes to message bytes. */
export type Scep = ReturnType<typeof createScep>

/** The service; the authority must be ready before it is asked. */
export function createScep(deps: ScepDeps) {
  const { clock, log, events, authority, issuance } = deps
  const open = createOpening(deps)

  /**
   * Answers a PKIOperation: a CertRep, SUCCESS or FAILURE. Throws `cms_invalid` or `scep_invalid` for what is no SCEP
   * message or is not signed as it says, since there is nobody to answer then.
   */
  async function pkiOperation(bytes: Buffer, from: Source): Promise<Buffer> {
    const outdated = readUnsupported(bytes)
    if (outdated !== undefined) return refuseOutdated(outdated, from)
    const message = read(bytes, from)
    const facts = { transaction_id: message.transactionId, ...from }
    if (!REQUESTS.has(message.messageType))
      return refuse(message, facts, `a ${message.messageType} is not served here`)
    if (message.signer.publicKey().asymmetricKeyType !== 'rsa')
      return refuse(message, facts, 'the answer cannot be encrypted, as the signer has no RSA key')
    const opened = await open(message)
    if (opened === undefined) {
      await issuance.refuse('the envelope cannot be opened, or holds no certificate request', facts)
      return fail(message, authority.issuing(), 'badMessageCheck')
    }
    return certify(message, opened, facts)
  }

  /** Answers a request that was read whole. */
  async function certify(
    message: PkiMessage,
    { csr, cipher, identity }: Opened,
    facts: RequestFacts,
  ): Promise<Buffer> {
    const { messageType, signer, digestAlgorithm: digest } = message
    if (cipher === 'des-cbc' || digest === 'sha1')
      log.info({ event: 'scep.old_algorithms', cipher, digest, ...facts }, 'an old client')
    const secret = csr.challengePassword ?? challengeAttribute(message)
    const isRenewal = messageType !== 'PKCSReq'
    const outcome = await issuance.issue({ csr, signer, secret, isRenewal, facts })
    if ('reason' in outcome) return fail(message, identity, outcome.failInfo ?? 'badRequest', outcome.message)
    return buildSuccess({ request: message, issued: outcome, cipher, signer: identity, now: clock.now() })
  }

  async function refuseOutdated(message: Answerable, from: Source): Promise<Buffer> {
    const why = 'the message is signed with an algorithm that is not supported'
    await issuance.refuse(why, { transaction_id: message.transactionId, ...from })
    return fail(message, authority.issuing(), 'badAlg', why)
  }

  function read(bytes: Buffer, { request_id }: Source): PkiMessage {
    try {
      return parsePkiMessage(bytes)
    } catch (error) {
      if (error instanceof AppError) {
        const data = { message: error.message }
        events.announce({ type: 'message.refused', reason: error.code, request_id, data })
      }
      throw error
    }
  }

  function refuse(message: PkiMessage, facts: RequestFacts, why: string): Promise<Buffer> {
    const { transaction_id, request_id } = facts
    const data = { message: why, transaction_id }
    events.announce({ type: 'message.refused', reason: 'scep_invalid', data, request_id })
    return fail(message, authority.issuing(), 'badRequest', why)
  }

  function fail(request: Answerable, signer: Identity, failInfo: FailInfo, text?: string): Promise<Buffer> {
    const now = clock.now()
    return buildFailure({ request, failInfo, signer, now, ...(text !== undefined && { failInfoText: text }) })
  }

  return {
    pkiOperation,
    /** The answer to GetCACaps. SHA-1 is understood and not announced. */
    capabilities: (): string => caCapabilities({ sha1: false }),
    /** The answer to GetCACert: the CA that issues. */
    certificates: () => caCertificates([authority.issuing().certificate]),
  }
}

/** Opens envelopes with whichever of our CAs they are for; undefined when that fails, for whatever reason. */
function createOpening({ authority, unwrap }: ScepDeps) {
  return async function open(message: PkiMessage): Promise<Opened | undefined> {
    const tried = new Set<string>()
    const tryAll = async (): Promise<Opened | undefined> => {
      for (const { id, certificate, key } of authority.trusted()) {
        if (key === null || tried.has(id)) continue
        tried.add(id)
        const identity = { certificate, key }
        const found = await openRequest(message, { identity, unwrap }).catch(onlyUnreadable)
        if (found !== undefined) return { ...found, identity }
      }
      return undefined
    }
    const found = await tryAll()
    if (found !== undefined) return found
    // It may be for a CA that another process has just added.
    await authority.refresh()
    return tryAll()
  }
}

/** macOS was once seen to send the challenge as a signed attribute of the message too. */
function challengeAttribute(message: PkiMessage): string | undefined {
  const value = attributeValue(message.attributes, OID.challengePassword)
  return value && readText(value, 'challenge password')
}

function onlyUnreadable(error: unknown): undefined {
  if (error instanceof AppError && error.code === 'scep_invalid') return undefined
  throw error
}
