import { afterCommit, type Tx } from '../../../db/index.ts'
import { lockArrival, writeAdmitted, type Arrival } from '../../../db/statements/admission.ts'
import { actOfServer } from '../../../kernel/act.ts'
import { addTime } from '../../../kernel/clock.ts'
import type { Authenticate } from '../../../protocol/mdm/index.ts'
import type { NewStep } from '../../attempts/index.ts'
import { HALF_ENROLLED_MINUTES, rowIds, spaceOf, type Enrollment } from '../../devices/index.ts'
import { adoptCertificate } from '../adoption.ts'
import { bindingOf } from '../caller.ts'
import type { EnrollmentDeps, Sender } from '../deps.ts'
import { endEnrollment } from '../end.ts'
import { keepMessage, sealMessage } from '../messages.ts'
import { mayReplace, tellTakeoverRefused } from '../takeover.ts'
import { refused, type Verdict } from '../verdict.ts'
import { isAutomated } from '../../entry/index.ts'
import { checkSameDevice, checkUser, type Applicant, type Refusal } from './admission.ts'
import { beginAnew, factsOf } from './begin-anew.ts'

type AuthenticateMessage = Omit<Authenticate, 'raw'>

/** A device that says Authenticate with the certificate of an attempt, and the link by which it asks to be let in. */
interface Entrant extends Arrival {
  applicant: Applicant
  message: AuthenticateMessage
  from: Sender
  /** Null when it was let in before, or not by a link. */
  linkId: string | null
}

/** A device that may come in: what it has passed, whose place it takes (an own one of before too), and which ends with that. */
interface Admission {
  passed: readonly NewStep[]
  taken?: Enrollment | undefined
  former: readonly Enrollment[]
}

/** The answer; `ask`: Apple is to be asked before it is given whether this enrollment is still there. */
interface Answer {
  verdict: Verdict
  ask?: string
}

/** Somebody else was let in at the same moment as a device of this id: what is right now is decided anew. */
const AGAIN = new Error('an enrollment of this id has begun meanwhile')

/**
 * Authenticate: begins an enrollment, or begins it anew. Whose place it may take, and everything that counts against a limit, is
 * decided here, in one transaction: attempt, user, enrollments and link are locked in this order before anything is counted.
 */
export async function authenticate(
  deps: EnrollmentDeps,
  message: AuthenticateMessage,
  from: Sender,
): Promise<Verdict> {
  for (;;) {
    try {
      const { verdict, ask } = await deps.db.transaction((trx) => decide(trx, deps, message, from))
      if (ask !== undefined) await deps.push.ask(ask)
      return verdict
    } catch (error) {
      if (error !== AGAIN) throw error
    }
  }
}

async function decide(
  trx: Tx,
  deps: EnrollmentDeps,
  message: AuthenticateMessage,
  from: Sender,
): Promise<Answer> {
  const { deviceId, udid = null } = message.identity
  const type = message.identity.type === 'user_enrollment_device' ? 'user_enrollment_device' : 'device'
  const { serialNumber: serial_number = null, topic } = message
  const applicant: Applicant = { deviceId, type, udid, serial_number, topic }
  const arrival = await lock(trx, from.fingerprint, applicant)
  const bindings = arrival?.bindings ?? (await deps.identity.bindings(trx, from.fingerprint))
  if (bindings.length > 0) {
    const own = await bindingOf(trx, deps, bindings, { deviceId, ...from })
    if ('reason' in own) return { verdict: own }
    // The device itself: it repeats a message whose answer it lost, took a renewed profile, or installs its profile anew.
    return { verdict: await updateOwn(trx, deps, own.enrollment_id, { applicant, message, from }) }
  }
  if (!arrival) {
    // Not one of those that were issued here: a device that moved in from another server may begin with it.
    const adopted = await adoptCertificate(trx, deps, from, message.identity)
    if (adopted === undefined) return { verdict: refused('certificate_unknown') }
    return { verdict: await updateOwn(trx, deps, adopted.enrollment_id, { applicant, message, from }) }
  }
  const { attempt } = arrival
  if (attempt.outcome !== 'in_progress') return { verdict: refused(attempt.reason ?? 'attempt_closed') }

  const entrant = { ...arrival, applicant, message, from, linkId: attempt.link_id }
  const judged = await judge(trx, deps, entrant)
  if ('refusal' in judged) return reject(trx, deps, entrant, judged.refusal)
  return start(trx, deps, entrant, judged)
}

async function lock(
  trx: Tx,
  fingerprint: Buffer,
  { deviceId, serial_number, topic }: Applicant,
): Promise<Arrival | undefined> {
  const serials = serial_number === null ? [] : [serial_number]
  const introduction = { rowIds: rowIds(deviceId), serials, topic }
  const arrival = await lockArrival(trx, fingerprint, introduction)
  const isStale = arrival !== undefined && arrival.attempt.enrollment_id !== null && !arrival.bindings.length
  // It waited for the same message to be done, and what it wrote was not there yet when the statement began.
  return isStale ? lockArrival(trx, fingerprint, introduction) : arrival
}

async function judge(
  trx: Tx,
  deps: EnrollmentDeps,
  entrant: Entrant,
): Promise<{ refusal: Refusal } | Admission> {
  const { attempt, applicant, knowsTopic, assigned, namesakes, isMoved } = entrant
  const { topic, type } = applicant
  if (!knowsTopic) return { refusal: { reason: 'topic_mismatch', detail: { topic } } }
  const other = checkSameDevice(attempt, applicant)
  if (other !== undefined) return { refusal: other }
  if (assigned !== null && assigned.blocked_at !== null)
    return { refusal: { reason: 'blocked', detail: { serial_number: assigned.serial_number } } }
  const user = attempt.user_id === null ? undefined : await deps.users.lock(trx, attempt.user_id)
  const isThere = isMoved || namesakes.some((each) => spaceOf(each.type) === spaceOf(type))
  const { own, former } = isThere ? await lockHolders(trx, deps, entrant) : { own: undefined, former: [] }
  if (own !== undefined && !mayReplace(own, attempt, applicant, deps.clock.now())) {
    const detail = { enrollment_id: own.id, enrolled_by: own.way }
    return { refusal: { reason: 'owned_by_another', detail, owner: own } }
  }
  const checked = await checkUser(trx, deps, attempt, user, own?.id)
  return 'refusal' in checked ? checked : { ...checked, taken: own, former }
}

function lockHolders(trx: Tx, deps: EnrollmentDeps, { attempt, applicant, isMoved }: Entrant) {
  const { deviceId, type } = applicant
  return deps.devices.lockHolders(trx, {
    deviceId,
    type,
    serialNumber: isMoved ? attempt.serial_number : null,
  })
}

async function reject(
  trx: Tx,
  deps: EnrollmentDeps,
  { attempt, applicant, from: { requestId } }: Entrant,
  { owner, ...refusal }: Refusal,
): Promise<Answer> {
  const { udid, serial_number } = applicant
  await deps.attempts.note(trx, attempt.id, {
    ...(attempt.udid === null && udid !== null && { udid }),
    ...(attempt.serial_number === null && serial_number !== null && { serial_number }),
  })
  const step = refusal.reason === 'device_limit_exceeded' ? 'device_limit' : 'authenticate'
  await deps.attempts.reject(trx, attempt.id, { step, ...refusal, request_id: requestId })
  const isAsked = owner !== undefined && (await tellTakeoverRefused(trx, deps, { owner, attempt, requestId }))
  const status = refusal.reason === 'topic_mismatch' ? 400 : 403
  return { verdict: refused(refusal.reason, { status }), ...(isAsked && { ask: owner.id }) }
}

/** Lets the device in if the link still has a use. */
async function start(trx: Tx, deps: EnrollmentDeps, entrant: Entrant, admission: Admission): Promise<Answer> {
  const { attempt, linkId, from } = entrant
  const { passed, taken, former } = admission
  // A new device takes its use with the statement that writes it down.
  const isWritten = taken === undefined && (await write(trx, deps, entrant, admission)) === 'written'
  if (!isWritten && linkId !== null) {
    const use = await deps.links.takeUse(trx, linkId)
    if (use !== 'taken') {
      await deps.attempts.step(trx, attempt.id, ...passed)
      return reject(trx, deps, entrant, { reason: use, detail: { link_id: linkId } })
    }
  }
  const act = actOfServer('device', from.requestId)
  for (const each of former) await endEnrollment(trx, deps, each, 'serial_number_moved', act)
  if (taken !== undefined) {
    const row = rowOf(entrant, deps.clock.now())
    await beginAnew(trx, deps, taken, { row, fingerprint: from.fingerprint, act })
  }
  if (!isWritten) await write(trx, deps, { ...entrant, linkId: null }, admission)
  const id = taken?.id ?? newRowId(entrant)
  for (const groupId of new Set(entrant.groupIds)) await deps.groups.addMember(trx, groupId, id, act)
  await tellClaimed(trx, deps, entrant, id)
  return { verdict: undefined }
}

/** Writes down that the device was let in, and tells it. Throws AGAIN when there is a row of its id that was not there before. */
async function write(
  trx: Tx,
  deps: EnrollmentDeps,
  entrant: Entrant,
  { passed, taken }: Admission,
): Promise<'written' | 'no_use'> {
  const { attempt, applicant, message, from, linkId } = entrant
  const now = deps.clock.now()
  const id = taken?.id ?? newRowId(entrant)
  const { udid, serial_number } = applicant
  const row = { ...rowOf(entrant, now), id, generation: 1, created_at: now }
  const event = {
    type: 'device.authenticated',
    serial_number: row.serial_number,
    user_name: attempt.user_name,
    data: { again: (taken?.authenticated_at ?? null) !== null },
  } as const
  const written = await writeAdmitted(
    trx,
    {
      ...(taken ? { knownId: taken.id } : { added: row }),
      fingerprint: from.fingerprint,
      linkId,
      messageType: message.messageType,
      raw: sealMessage(deps.secretBox, id, from.raw),
      attempt: {
        id: attempt.id,
        deadline: addTime(now, HALF_ENROLLED_MINUTES, 'minute'),
        udid,
        serial_number,
      },
      steps: [...passed, { step: 'authenticate' }],
      event,
    },
    now,
  )
  if (written === 'known') throw AGAIN
  if (written === 'written')
    afterCommit(trx, () =>
      deps.events.announce({
        ...event,
        enrollment_id: id,
        attempt_id: attempt.id,
        request_id: from.requestId,
      }),
    )
  return written
}

/** The id of a row that is made for the device: the plain one, unless a device of the other space has that. */
function newRowId({ applicant, namesakes }: Entrant): string {
  const [plain, marked] = rowIds(applicant.deviceId)
  return namesakes.some(({ id }) => !id.startsWith(':')) ? marked : plain
}

/** What the row of an enrollment holds that begins with this message. */
function rowOf({ attempt, applicant, assigned, message }: Entrant, now: Date) {
  const told = applicant.serial_number
  const known = assigned?.serial_number
  return {
    ...factsOf(message),
    type: applicant.type,
    udid: applicant.udid,
    serial_number: isAutomated(attempt.way)
      ? (attempt.serial_number ?? told)
      : known?.toLowerCase() === told?.toLowerCase()
        ? (known ?? told)
        : told,
    topic: applicant.topic,
    user_id: attempt.user_id,
    attempt_id: attempt.id,
    policy_id: attempt.policy_id,
    link_id: attempt.link_id,
    way: attempt.way,
    authenticated_at: now,
    updated_at: now,
  } as const
}

/** A device that came by a link or the page and gives a serial number that Apple has assigned to us is told of. */
async function tellClaimed(trx: Tx, deps: EnrollmentDeps, entrant: Entrant, id: string): Promise<void> {
  const { attempt, assigned, from } = entrant
  if (assigned === null || isAutomated(attempt.way)) return
  await deps.events.emit(trx, {
    type: 'ade_device.claimed',
    enrollment_id: id,
    serial_number: assigned.serial_number,
    user_name: attempt.user_name,
    attempt_id: attempt.id,
    data: { way: attempt.way },
    request_id: from.requestId,
  })
}

/** What the device itself says again changes nothing but what it tells of itself. */
async function updateOwn(
  trx: Tx,
  deps: EnrollmentDeps,
  id: string,
  { applicant, message, from }: Pick<Entrant, 'applicant' | 'message' | 'from'>,
): Promise<Verdict> {
  const enrollment = await deps.devices.lockEnrollment(trx, id)
  if (!enrollment || enrollment.unenrolled_at !== null)
    return refused('enrollment_ended', { unrecognized: true })
  if (enrollment.type !== applicant.type) return refused('certificate_mismatch')
  if (enrollment.topic !== applicant.topic) return refused('topic_mismatch', { status: 400 })
  const now = deps.clock.now()
  const change = {
    ...factsOf(message),
    ...{ authenticates_again: true, unregistered_at: null, updated_at: now },
  }
  await deps.devices.updateEnrollment(trx, enrollment.id, change)
  await deps.groups.noteTold(trx, enrollment.id)
  await deps.identity.noteUse(trx, enrollment.id, from.fingerprint)
  await keepMessage(trx, deps, enrollment.id, message.messageType, from)
  return undefined
}
