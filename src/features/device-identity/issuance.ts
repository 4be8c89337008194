import { createGroupCommit, type Db } from '../../db/index.ts'
import { takeChallenges, type Taken, type Taking } from '../../db/statements/issue.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { sha256 } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import { OID } from '../../protocol/asn1/index.ts'
import {
  issueCertificate,
  parseCertificate,
  validity,
  type Certificate,
  type CertificateRequest,
  type NameInput,
} from '../../protocol/x509/index.ts'
import type { FailInfo } from '../../protocol/scep/index.ts'
import { ATTEMPT_MINUTES, type Attempts, type ReasonCode, type Strangers } from '../attempts/index.ts'
import type { Events } from '../events/index.ts'
import type { Authority } from './authority.ts'
import type { createBindings } from './bindings.ts'
import type { ChallengeState, createChallenges } from './challenges.ts'
import { createRenewals, type Renewal } from './renewals.ts'
import { useChallenge } from './store.ts'
import type { Challenge, Identified } from './types.ts'

const VALID_DAYS = 365
const MIN_RSA_BITS = 2048
/** Certificates recorded by one statement. */
const MAX_BATCH = 64
/** X.520, ub-common-name. */
const MAX_COMMON_NAME = 64

/** What became of a request. `failInfo` where it is not `badRequest`. */
export type Outcome =
  | { certificate: Certificate; repeated: boolean }
  | { refused: ReasonCode; message: string; failInfo?: FailInfo }

/** A certificate request, and what vouches for it. */
interface Request {
  csr: CertificateRequest
  /** Who signed the message. */
  signer: Certificate
  secret: string | undefined
  /** It says of itself that it is a renewal. */
  isRenewal: boolean
}

/** Whose active certificate a signer is, or why it is nobody's. */
type Voucher = { enrollmentId: string; fingerprint: Buffer } | { problem: string }

/** What is wrong with a request itself. */
interface Flaw {
  message: string
  failInfo?: FailInfo
}

/** What goes to the log beside an outcome. */
export interface RequestFacts {
  transaction_id: string
  request_id: string
  /** Where the request came from. */
  address: string
}

/** A certificate and the fingerprint of the CA that signed it. */
interface Signed {
  certificate: Certificate
  ca: string
}

/** Decides on certificate requests and issues. */
export function createIssuance(deps: {
  db: Db
  clock: Clock
  log: Log
  events: Events
  attempts: Attempts
  strangers: Pick<Strangers, 'note'>
  authority: Authority
  challenges: ReturnType<typeof createChallenges>
  bindings: ReturnType<typeof createBindings>
  identify: (certificate: Certificate, now: Date) => Promise<Identified>
}) {
  const { db, clock, log, events, attempts, strangers, authority, challenges, bindings, identify } = deps
  const renewals = createRenewals(deps)
  const batches = createGroupCommit<Taking & { attemptId: string }, Taken | undefined>({
    key: ({ attemptId }) => attemptId,
    run: (takings) => {
      const at = clock.now()
      return takeChallenges(db, takings, { at, deadline: addTime(at, ATTEMPT_MINUTES, 'minute') })
    },
    maxBatch: MAX_BATCH,
  })

  /**
   * Issues for a challenge, or for a certificate of ours that is an enrollment at this moment. What such a certificate has
   * signed is a renewal of its enrollment whatever challenge comes with it; one that we gave out for that renewal makes
   * it good at any time.
   */
  async function issue({ csr, signer, secret, isRenewal }: Request, facts: RequestFacts): Promise<Outcome> {
    const found = await challenges.look(secret, sha256(csr.spki))
    const isGood = found.state === 'usable' || found.state === 'used_for_this_key'
    const isForEnrollment = isGood && found.challenge.enrollment_id !== null
    if (isGood && !isForEnrollment && !isRenewal) return issueForChallenge(csr, secret, found, null, facts)
    const voucher = await vouch(signer)
    if ('problem' in voucher) {
      if (isRenewal || (!secret && voucher.problem !== 'foreign'))
        return refuseRenewal(voucher.problem, facts)
      return issueForChallenge(csr, secret, found, null, facts)
    }
    return isForEnrollment && found.challenge.enrollment_id === voucher.enrollmentId
      ? issueForChallenge(csr, secret, found, voucher.fingerprint, facts)
      : issueForCertificate(csr, voucher, signer, facts)
  }

  async function vouch(signer: Certificate): Promise<Voucher> {
    // A certificate of the moment, as clients make one for their first request; our CA issues none such.
    if (signer.issuerDer.equals(signer.subjectDer)) return { problem: 'foreign' }
    const { fingerprint, problem } = await identify(signer, clock.now())
    if (problem !== undefined) return { problem }
    const bound = await bindings.bindings(db.kysely, fingerprint)
    const enrollmentId = bound.find(({ state }) => state === 'active')?.enrollment_id
    return enrollmentId === undefined
      ? { problem: bound[0]?.state ?? 'not bound' }
      : { enrollmentId, fingerprint }
  }

  /** Issues for a challenge: once, and the same again for the same key until the challenge expires. */
  async function issueForChallenge(
    csr: CertificateRequest,
    secret: string | undefined,
    found: ChallengeState,
    signer: Buffer | null,
    facts: RequestFacts,
  ): Promise<Outcome> {
    if (found.state === 'used_for_this_key') return repeat(found, facts)
    const flaw = checkRequest(csr)
    if (flaw !== undefined) return refuseFlaw(flaw, facts, found.challenge)
    if (found.state !== 'usable') return refuse(found.state, REFUSALS[found.state], facts, found.challenge)
    const { challenge } = found
    const signed = await sign(csr, challenge)
    const isTaken =
      challenge.enrollment_id === null
        ? await takeForAttempt(signed, challenge, facts)
        : await takeForEnrollment(signed, challenge, challenge.enrollment_id, signer, facts)
    if (isTaken) return { certificate: signed.certificate, repeated: false }
    // Another request with this challenge was quicker; what it is worth now decides.
    const after = await challenges.look(secret, sha256(csr.spki))
    if (after.state === 'used_for_this_key') return repeat(after, facts)
    const reason = after.state === 'usable' ? 'challenge_invalid' : after.state
    return refuse(reason, REFUSALS[reason], facts, challenge)
  }

  /** Takes the challenge of an attempt and records the certificate, in one statement with others that come at this time. */
  async function takeForAttempt(signed: Signed, challenge: Challenge, facts: RequestFacts): Promise<boolean> {
    const { hash, attempt_id, serial_number } = challenge
    const detail = detailOf(signed.certificate)
    const data = { ...detail, ...scep(facts), renewal: false }
    const attemptId = attempt_id ?? ''
    const taken = await batches.submit({ attemptId, hash, issued: toIssued(signed), detail, data })
    if (taken === undefined) return false
    const { user_name, begun_by: way } = taken
    const told = { attempt_id, serial_number, user_name, ...request(facts) }
    if (way !== null) events.announce({ type: 'enrollment.started', ...told, data: { way } })
    events.announce({ type: 'certificate.issued', ...told, data })
    return true
  }

  /** The same for the renewal of an enrollment's certificate, which is bound to it. */
  async function takeForEnrollment(
    signed: Signed,
    { hash }: Challenge,
    enrollmentId: string,
    signer: Buffer | null,
    facts: RequestFacts,
  ): Promise<boolean> {
    const { der, spki } = signed.certificate
    return db.transaction(async (trx) => {
      const use = { hash, publicKeyHash: sha256(spki), certificate: der, now: clock.now() }
      if (!(await useChallenge(trx, use))) return false
      await renewals.record(trx, { ...renewalOf(signed, enrollmentId, facts), signer })
      return true
    })
  }

  /** Issues for a certificate that is an enrollment, for the same enrollment, when it is time. */
  async function issueForCertificate(
    csr: CertificateRequest,
    { enrollmentId, fingerprint }: Extract<Voucher, { enrollmentId: string }>,
    signer: Certificate,
    facts: RequestFacts,
  ): Promise<Outcome> {
    const flaw = checkRequest(csr)
    if (flaw !== undefined) return refuseFlaw(flaw, facts, undefined, enrollmentId)
    const signed = await sign(csr, { enrollment_id: enrollmentId })
    const renewal = { ...renewalOf(signed, enrollmentId, facts), signer: fingerprint }
    const life = { not_before: signer.notBefore, not_after: signer.notAfter }
    const renewed = await db.transaction((trx) => renewals.recordOwn(trx, renewal, life))
    if ('certificate' in renewed) return renewed
    if (renewed.refused === 'not_active') return refuseRenewal('replaced', facts)
    return refuse('csr_rejected', TOO_EARLY, facts, undefined, enrollmentId, 'renewal_too_early')
  }

  function refuseRenewal(why: string, facts: RequestFacts): Promise<Outcome> {
    const message = `the certificate that signed the renewal is not an active one of ours (${why})`
    return refuse('certificate_mismatch', message, facts).then((outcome) => ({
      ...outcome,
      failInfo: 'badCertId',
    }))
  }

  async function refuseFlaw(
    { message, failInfo }: Flaw,
    facts: RequestFacts,
    challenge?: Challenge,
    enrollmentId?: string,
  ): Promise<Outcome> {
    const outcome = await refuse('csr_rejected', message, facts, challenge, enrollmentId)
    return failInfo === undefined ? outcome : { ...outcome, failInfo }
  }

  async function sign(csr: CertificateRequest, owner: Partial<Challenge>): Promise<Signed> {
    const issuer = authority.issuing()
    const { notBefore, notAfter } = validity(clock.now(), VALID_DAYS)
    const last = issuer.certificate.notAfter
    const certificate = await issueCertificate({
      issuer,
      spki: csr.spki,
      subject: subjectOf(owner),
      notBefore,
      notAfter: notAfter < last ? notAfter : last,
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsage: [OID.clientAuth],
    })
    return { certificate, ca: issuer.certificate.fingerprint }
  }

  /** The certificate of a used challenge again, unless another renewal has taken its place. */
  async function repeat(
    { challenge, certificate }: Extract<ChallengeState, { state: 'used_for_this_key' }>,
    facts: RequestFacts,
  ): Promise<Outcome> {
    const { attempt_id, enrollment_id, serial_number } = challenge
    const bound = enrollment_id === null ? [] : await bindings.bindings(db.kysely, sha256(certificate))
    if (enrollment_id !== null && !bound.some(({ state }) => state === 'active'))
      return refuse('challenge_used', 'the certificate of this challenge was replaced', facts, challenge)
    log.info(
      {
        event: 'certificate.repeated',
        attempt_id,
        enrollment_id,
        serial_number,
        ...scep(facts),
        ...request(facts),
      },
      'same key, same certificate',
    )
    return { certificate: parseCertificate(certificate), repeated: true }
  }

  /** Tells of a refusal; the attempt goes on, for it may not be its device that asked. */
  async function refuse(
    reason: ReasonCode,
    message: string,
    facts: RequestFacts,
    challenge?: Challenge,
    enrollmentId?: string,
    detail?: string,
  ): Promise<Extract<Outcome, { refused: ReasonCode }>> {
    const attemptId = challenge?.attempt_id ?? null
    const event = {
      type: 'certificate.refused',
      reason,
      enrollment_id: enrollmentId ?? challenge?.enrollment_id ?? null,
      attempt_id: attemptId,
      data: { ...scep(facts), message, ...(detail !== undefined && { detail }) },
      ...request(facts),
    } as const
    const attempt = attemptId === null ? undefined : await attempts.find(db.kysely, attemptId)
    // Nothing is known of who asks with a challenge of which no attempt has begun.
    if (attempt === undefined && event.enrollment_id === null) {
      const { way = null, link_id } = challenge ?? {}
      strangers.note({
        ...{ address: facts.address, way, reason, ofCertificate: true, request_id: facts.request_id },
        ...{ link_id: link_id ?? undefined, detail: event.data },
      })
    } else if (attempt === undefined) {
      events.announce({ ...event, attempt_id: null })
    } else {
      const { id, serial_number, user_name } = attempt
      await db.transaction(async (trx) => {
        const refusal = { step: 'certificate', outcome: 'refused', reason, detail: { message } } as const
        if (await attempts.repeat(trx, id, refusal)) return
        await attempts.step(trx, id, refusal)
        await events.emit(trx, { ...event, serial_number, user_name })
      })
    }
    return { refused: reason, message }
  }

  return {
    issue,
    /** Tells of a request that could not be read, and of whose attempt nothing is known. */
    refuse: (reason: ReasonCode, message: string, facts: RequestFacts) => refuse(reason, message, facts),
    /** Answers when nothing is being recorded any more. */
    idle: batches.idle,
  }
}

const REFUSALS = {
  challenge_invalid: 'the challenge was not given out, or counts no longer',
  challenge_used: 'the challenge was used for another key',
  challenge_expired: 'the challenge has expired',
} as const

const TOO_EARLY = 'a certificate is renewed in the last third of its life'

/** What is wrong with a certificate request, whoever sent it; undefined when nothing is. */
function checkRequest(csr: CertificateRequest): Flaw | undefined {
  if (!csr.isSignatureSupported)
    return { message: 'the request is signed with an algorithm that is not supported', failInfo: 'badAlg' }
  const message = checkSignature(csr)
  return message === undefined ? undefined : { message }
}

function checkSignature(csr: CertificateRequest): string | undefined {
  try {
    return csr.verify() ? checkKey(csr) : 'the request is not signed with its own key'
  } catch (error) {
    if (error instanceof AppError && error.code === 'csr_invalid') return error.message
    throw error
  }
}

function checkKey(csr: CertificateRequest): string | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = csr.publicKey()
  if (asymmetricKeyType !== 'rsa') return `the key is of type ${asymmetricKeyType}, not RSA`
  const bits = asymmetricKeyDetails?.modulusLength ?? 0
  return bits < MIN_RSA_BITS ? `the key has ${bits} bits, not ${MIN_RSA_BITS} or more` : undefined
}

/** Whatever the request asked for: the attempt or enrollment, and the serial number where it is known. */
function subjectOf(owner: Partial<Challenge>): NameInput {
  const { attempt_id, enrollment_id, serial_number } = owner
  const commonName = (attempt_id ?? enrollment_id ?? '').slice(0, MAX_COMMON_NAME)
  return [
    ['O', 'Firstboot'],
    ...(serial_number ? [['serialNumber', serial_number] as const] : []),
    ['CN', commonName],
  ]
}

function renewalOf(signed: Signed, enrollmentId: string, facts: RequestFacts): Omit<Renewal, 'signer'> {
  const data = { ...detailOf(signed.certificate), ...scep(facts), renewal: true }
  const { certificate } = signed
  return { enrollmentId, issued: toIssued(signed), certificate, event: { data, ...request(facts) } }
}

function toIssued({ certificate, ca }: Signed): Taking['issued'] {
  return {
    fingerprint: Buffer.from(certificate.fingerprint, 'hex'),
    ca_id: ca,
    serial_number: certificate.serialNumber,
    certificate: certificate.der,
    public_key_hash: sha256(certificate.spki),
    not_before: certificate.notBefore,
    not_after: certificate.notAfter,
  }
}

/** What timeline and event say of a certificate. */
function detailOf(certificate: Certificate) {
  return {
    certificate_serial_number: certificate.serialNumber,
    not_after: certificate.notAfter.toISOString(),
  }
}

function scep(facts: RequestFacts): { transaction_id: string } {
  return { transaction_id: facts.transaction_id }
}

function request({ request_id }: RequestFacts): { request_id: string } {
  return { request_id }
}
