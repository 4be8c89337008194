import { createGroupCommit, type Db } from '../../db/index.ts'
import { takeChallenges, type Taken, type Taking, TAKINGS_AT_ONCE } from '../../db/statements/issue.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { sha256 } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import { parseCertificate, type Certificate, type CertificateRequest } from '../../protocol/x509/index.ts'
import { ATTEMPT_MINUTES, type Attempts, type Strangers } from '../attempts/index.ts'
import type { Events } from '../events/index.ts'
import type { Authority } from './authority.ts'
import type { createBindings } from './bindings.ts'
import type { ChallengeState, createChallenges } from './challenges.ts'
import { createRefusals, type Refusal, type RequestFacts } from './refusals.ts'
import { createRenewals, type Renewal } from './renewals.ts'
import { checkRequest } from './request-check.ts'
import { createSigning, type Signed } from './signing.ts'
import { useChallenge } from './store.ts'
import type { Challenge, Identified } from './types.ts'

const WORTHLESS_CHALLENGE = {
  challenge_invalid: 'the challenge was not given out, or counts no longer',
  challenge_used: 'the challenge was used for another key',
  challenge_expired: 'the challenge has expired',
} as const

const TOO_EARLY = {
  reason: 'csr_rejected',
  message: 'a certificate is renewed in the last third of its life',
  detail: 'renewal_too_early',
} as const

/** The certificate that a request gets, or why it gets none. */
type Outcome = Certificate | Refusal

/** A certificate request, what vouches for it, and what goes to the log. */
interface Request {
  csr: CertificateRequest
  /** Who signed the message. */
  signer: Certificate
  secret: string | undefined
  /** It says of itself that it is a renewal. */
  isRenewal: boolean
  facts: RequestFacts
}

/** Whose active certificate a signer is. */
interface Voucher {
  enrollmentId: string
  fingerprint: Buffer
}

interface IssuanceDeps {
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
}

/** Decides on certificate requests and issues. */
export function createIssuance(deps: IssuanceDeps) {
  const { challenges } = deps
  const vouch = createVouching(deps)
  const sign = createSigning(deps)
  const refuse = createRefusals(deps)
  const repeat = createRepeating({ ...deps, refuse })
  const renewals = createRenewals(deps)
  const takings = createTakings({ ...deps, renewals })

  /**
   * Issues for a challenge, or for a certificate of ours that is an enrollment at this moment. What such a certificate has
   * signed is a renewal of its enrollment whatever challenge comes with it; one that we gave out for that renewal makes
   * it good at any time.
   */
  async function issue(request: Request): Promise<Outcome> {
    const { csr, signer, secret, isRenewal, facts } = request
    const found = await challenges.look(secret, sha256(csr.spki))
    const isGood = found.state === 'usable' || found.state === 'used_for_this_key'
    const isForEnrollment = isGood && found.challenge.enrollment_id !== null
    if (isGood && !isForEnrollment && !isRenewal) return issueForChallenge(request, found, null)
    const voucher = await vouch(signer)
    if (typeof voucher === 'string') {
      const isOurs = isRenewal || (!secret && voucher !== 'foreign')
      return isOurs ? refuse(notActive(voucher), facts) : issueForChallenge(request, found, null)
    }
    return isForEnrollment && found.challenge.enrollment_id === voucher.enrollmentId
      ? issueForChallenge(request, found, voucher.fingerprint)
      : issueForCertificate(request, voucher)
  }

  /** Issues for a challenge: once, and the same again for the same key until the challenge expires. */
  async function issueForChallenge(
    { csr, secret, facts }: Request,
    found: ChallengeState,
    signer: Buffer | null,
  ): Promise<Outcome> {
    if (found.state === 'used_for_this_key') return repeat(found, facts)
    const flaw = checkRequest(csr)
    const { challenge } = found
    if (flaw !== undefined) return refuse({ reason: 'csr_rejected', ...flaw }, facts, { challenge })
    if (found.state !== 'usable') return refuse(worthless(found.state), facts, { challenge })
    const signed = await sign(csr, found.challenge)
    if (await takings.take(signed, found.challenge, signer, facts)) return signed.certificate
    // Another request with this challenge was quicker; what it is worth now decides.
    const after = await challenges.look(secret, sha256(csr.spki))
    if (after.state === 'used_for_this_key') return repeat(after, facts)
    const reason = after.state === 'usable' ? 'challenge_invalid' : after.state
    return refuse(worthless(reason), facts, { challenge })
  }

  /** Issues for a certificate that is an enrollment, for the same enrollment, when it is time. */
  async function issueForCertificate(
    { csr, signer, facts }: Request,
    { enrollmentId, fingerprint }: Voucher,
  ): Promise<Outcome> {
    const flaw = checkRequest(csr)
    if (flaw !== undefined) return refuse({ reason: 'csr_rejected', ...flaw }, facts, { enrollmentId })
    const signed = await sign(csr, { enrollment_id: enrollmentId })
    const renewal = { ...renewalOf(signed, enrollmentId, facts), signer: fingerprint }
    const life = { not_before: signer.notBefore, not_after: signer.notAfter }
    const renewed = await deps.db.transaction((trx) => renewals.recordOwn(trx, renewal, life))
    if (renewed === 'not_active') return refuse(notActive('replaced'), facts)
    return renewed === 'too_early' ? refuse(TOO_EARLY, facts, { enrollmentId }) : renewed
  }

  return {
    issue,
    /** Tells of a request that could not be read, and of whose attempt nothing is known. */
    refuse: (message: string, facts: RequestFacts) => refuse({ reason: 'csr_rejected', message }, facts),
    /** Answers when nothing is being recorded any more. */
    idle: takings.idle,
  }
}

/** Finds whose active certificate a signer is, or a word why it is nobody's. */
function createVouching({ db, clock, bindings, identify }: IssuanceDeps) {
  return async function vouch(signer: Certificate): Promise<Voucher | string> {
    // A certificate of the moment, as clients make one for their first request; our CA issues none such.
    if (signer.issuerDer.equals(signer.subjectDer)) return 'foreign'
    const { fingerprint, problem } = await identify(signer, clock.now())
    if (problem !== undefined) return problem
    const bound = await bindings.bindings(db.kysely, fingerprint)
    const enrollmentId = bound.find(({ state }) => state === 'active')?.enrollment_id
    return enrollmentId === undefined ? (bound[0]?.state ?? 'not bound') : { enrollmentId, fingerprint }
  }
}

/** Gives the certificate of a used challenge again, unless another renewal has taken its place. */
function createRepeating({
  db,
  log,
  bindings,
  refuse,
}: IssuanceDeps & { refuse: ReturnType<typeof createRefusals> }) {
  return async function repeat(
    { challenge, certificate }: Extract<ChallengeState, { state: 'used_for_this_key' }>,
    facts: RequestFacts,
  ): Promise<Outcome> {
    const { attempt_id, enrollment_id, serial_number } = challenge
    const bound = enrollment_id === null ? [] : await bindings.bindings(db.kysely, sha256(certificate))
    if (enrollment_id !== null && !bound.some(({ state }) => state === 'active')) {
      const message = 'the certificate of this challenge was replaced'
      return refuse({ reason: 'challenge_used', message }, facts, { challenge })
    }
    const { transaction_id, request_id } = facts
    log.info(
      {
        event: 'certificate.repeated',
        attempt_id,
        enrollment_id,
        serial_number,
        transaction_id,
        request_id,
      },
      'same key, same certificate',
    )
    return parseCertificate(certificate)
  }
}

/** Takes a challenge and records the certificate that was signed for it; false when another request was quicker. */
function createTakings({
  db,
  clock,
  events,
  renewals,
}: IssuanceDeps & { renewals: ReturnType<typeof createRenewals> }) {
  const batches = createGroupCommit<Taking & { attemptId: string }, Taken | undefined>({
    key: ({ attemptId }) => attemptId,
    run: (takings) => {
      const at = clock.now()
      return takeChallenges(db, takings, { at, deadline: addTime(at, ATTEMPT_MINUTES, 'minute') })
    },
    maxBatch: TAKINGS_AT_ONCE,
  })

  /** In one statement with others that come at this time. */
  async function takeForAttempt(
    { issued, detail }: Signed,
    { hash, attempt_id, serial_number }: Challenge,
    { transaction_id, request_id }: RequestFacts,
  ): Promise<boolean> {
    const data = { ...detail, transaction_id, renewal: false }
    const taken = await batches.submit({ attemptId: attempt_id ?? '', hash, issued, detail, data })
    if (taken === undefined) return false
    const { user_name, begun_by: way } = taken
    const told = { attempt_id, serial_number, user_name, request_id }
    if (way !== null) events.announce({ type: 'enrollment.started', ...told, data: { way } })
    events.announce({ type: 'certificate.issued', ...told, data })
    return true
  }

  return {
    idle: batches.idle,
    /** For an attempt, or for the renewal of an enrollment's certificate, which is bound to it; `signer`: its active one. */
    async take(
      signed: Signed,
      challenge: Challenge,
      signer: Buffer | null,
      facts: RequestFacts,
    ): Promise<boolean> {
      const { hash, enrollment_id: enrollmentId } = challenge
      if (enrollmentId === null) return takeForAttempt(signed, challenge, facts)
      const { certificate, public_key_hash: publicKeyHash } = signed.issued
      return db.transaction(async (trx) => {
        if (!(await useChallenge(trx, { hash, publicKeyHash, certificate, now: clock.now() }))) return false
        await renewals.record(trx, { ...renewalOf(signed, enrollmentId, facts), signer })
        return true
      })
    },
  }
}

function renewalOf(
  { certificate, issued, detail }: Signed,
  enrollmentId: string,
  { transaction_id, request_id }: RequestFacts,
): Omit<Renewal, 'signer'> {
  const data = { ...detail, transaction_id, renewal: true }
  return { enrollmentId, issued, certificate, event: { data, request_id } }
}

function worthless(reason: keyof typeof WORTHLESS_CHALLENGE): Refusal {
  return { reason, message: WORTHLESS_CHALLENGE[reason] }
}

function notActive(why: string): Refusal {
  const message = `the certificate that signed the renewal is not an active one of ours (${why})`
  return { reason: 'certificate_mismatch', message, failInfo: 'badCertId' }
}
