import { afterCommit, type Tx } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import type { Authenticate } from '../../../protocol/mdm/index.ts'
import type { NewStep } from '../../attempts/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { EnrollmentDeps, Sender, Verdict } from '../deps.ts'
import { HALF_ENROLLED_MINUTES } from '../end.ts'
import { sealMessage } from '../messages.ts'
import { forgetRelease } from '../release/release.ts'
import { checkSameDevice, checkUser, type Applicant, type Refusal } from './admission.ts'
import { lockArrival, writeAdmitted, type Arrival } from './store.ts'

type AuthenticateMessage = Omit<Authenticate, 'raw'>

/** A device that says Authenticate with the certificate of an attempt, and the link by which it asks to be let in. */
interface Entrant extends Arrival {
  applicant: Applicant
  message: AuthenticateMessage
  from: Sender
  /** Null when it was let in before, or not by a link. */
  linkId: string | null
}

const WELCOME: Verdict = { ok: true }

/**
 * Authenticate: begins an enrollment, or begins it anew. Everything that counts against a limit is decided here, in
 * one transaction: attempt, user and link are locked in this order before anything is counted.
 */
export async function authenticate(
  deps: EnrollmentDeps,
  message: AuthenticateMessage,
  from: Sender,
): Promise<Verdict> {
  return deps.db.transaction(async (trx) => {
    const applicant: Applicant = {
      id: message.identity.deviceId,
      udid: message.identity.udid ?? null,
      serial_number: message.serialNumber ?? null,
      topic: message.topic,
    }
    const arrival = await lock(trx, from.fingerprint, applicant.topic)
    const bindings = arrival?.bindings ?? (await deps.identity.bindings(trx, from.fingerprint))
    const own = bindings.find((binding) => sameId(binding.enrollment_id, applicant.id))
    if (!own && bindings.length > 0) return refused('certificate_mismatch')
    if (own?.state === 'ended')
      return { ok: false, status: 403, reason: 'enrollment_ended', unrecognized: true }
    if (own?.state === 'replaced') return refused('certificate_replaced')
    if (own?.renewal) return updateOwnProfile(trx, deps, applicant, message, from.raw)
    if (!arrival) return refused('certificate_unknown')
    const { attempt } = arrival
    // The same certificate again: the device repeats a message whose answer it lost, or installs its profile anew.
    if (!own && attempt.outcome !== 'in_progress') return refused(attempt.reason ?? 'attempt_closed')

    const linkId = own ? null : attempt.link_id
    const entrant = { ...arrival, applicant, message, from, linkId }
    const judged = own && arrival.knowsTopic ? { passed: [] } : await judge(trx, deps, entrant)
    if ('refusal' in judged) return reject(trx, deps, entrant, judged.refusal)
    return start(trx, deps, entrant, judged.passed)
  })
}

async function lock(trx: Tx, fingerprint: Buffer, topic: string): Promise<Arrival | undefined> {
  const arrival = await lockArrival(trx, fingerprint, topic)
  const isStale = arrival !== undefined && arrival.attempt.enrollment_id !== null && !arrival.bindings.length
  // It waited for the same message to be done, and what it wrote was not there yet when the statement began.
  return isStale ? lockArrival(trx, fingerprint, topic) : arrival
}

async function judge(
  trx: Tx,
  deps: EnrollmentDeps,
  { attempt, applicant, knowsTopic }: Entrant,
): Promise<{ refusal: Refusal } | { passed: NewStep[] }> {
  const { topic } = applicant
  const refusal: Refusal | undefined = knowsTopic
    ? checkSameDevice(attempt, applicant)
    : { reason: 'topic_mismatch', detail: { topic } }
  return refusal ? { refusal } : checkUser(trx, deps, attempt, applicant)
}

async function reject(
  trx: Tx,
  deps: EnrollmentDeps,
  { attempt, applicant, from }: Entrant,
  refusal: Refusal,
): Promise<Verdict> {
  const { udid, serial_number } = applicant
  await deps.attempts.note(trx, attempt.id, {
    ...(attempt.udid === null && udid !== null && { udid }),
    ...(attempt.serial_number === null && serial_number !== null && { serial_number }),
  })
  const step = refusal.reason === 'device_limit_exceeded' ? 'device_limit' : 'authenticate'
  await deps.attempts.reject(trx, attempt.id, { step, ...refusal, request_id: from.requestId })
  return { ok: false, status: refusal.reason === 'topic_mismatch' ? 400 : 403, reason: refusal.reason }
}

/** Lets the device in if the link still has a use. `passed`: the steps that it has passed with this message. */
async function start(
  trx: Tx,
  deps: EnrollmentDeps,
  entrant: Entrant,
  passed: readonly NewStep[],
): Promise<Verdict> {
  const { attempt, applicant, linkId } = entrant
  let written = await write(trx, deps, entrant, passed)
  if (written === 'no_use' && linkId !== null) {
    const use = await deps.links.takeUse(trx, linkId)
    if (use !== 'taken') {
      await deps.attempts.step(trx, attempt.id, ...passed)
      return reject(trx, deps, entrant, { reason: use, detail: { link_id: linkId } })
    }
    written = await write(trx, deps, { ...entrant, linkId: null }, passed)
  }
  const before = written === 'known' ? await clear(trx, deps, entrant) : undefined
  if (before) await write(trx, deps, { ...entrant, linkId: null }, passed, before)
  for (const groupId of new Set(entrant.groupIds))
    await deps.groups.addMember(trx, groupId, before?.id ?? applicant.id)
  return WELCOME
}

/** Writes down that the device was let in, and tells it; for one that was here already only with its row of before. */
async function write(
  trx: Tx,
  deps: EnrollmentDeps,
  entrant: Entrant,
  passed: readonly NewStep[],
  before?: Enrollment,
): Promise<Awaited<ReturnType<typeof writeAdmitted>>> {
  const { attempt, applicant, message, from, linkId } = entrant
  const now = deps.clock.now()
  const id = before?.id ?? applicant.id
  const { udid, serial_number } = applicant
  const row = { ...rowOf(entrant, now), id, generation: 1, created_at: now }
  const event = {
    type: 'device.authenticated',
    serial_number,
    user_name: attempt.user_name,
    data: { again: (before?.authenticated_at ?? null) !== null },
  } as const
  const written = await writeAdmitted(
    trx,
    {
      ...(before ? { knownId: before.id } : { added: row }),
      ...{ fingerprint: from.fingerprint, linkId, messageType: message.messageType },
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
  if (written === 'written')
    afterCommit(trx, () =>
      deps.events.announce({
        ...event,
        ...{ enrollment_id: id, attempt_id: attempt.id, request_id: from.requestId },
      }),
    )
  return written
}

/** What the row of an enrollment holds that begins with this message. */
function rowOf({ attempt, applicant, message }: Entrant, now: Date) {
  return {
    ...facts(message),
    type: message.identity.type === 'user_enrollment_device' ? 'user_enrollment_device' : 'device',
    udid: applicant.udid,
    serial_number: applicant.serial_number ?? attempt.serial_number,
    topic: applicant.topic,
    user_id: attempt.user_id,
    attempt_id: attempt.id,
    policy_id: attempt.policy_id,
    link_id: attempt.link_id,
    authenticated_at: now,
    updated_at: now,
  } as const
}

/**
 * Puts away what was of an earlier enrollment of the device, and makes it the new one: nothing (queue, tokens, user
 * channels, certificates) survives. Gives the row as it was.
 */
async function clear(trx: Tx, deps: EnrollmentDeps, entrant: Entrant): Promise<Enrollment> {
  const before = await deps.devices.lockEnrollment(trx, entrant.applicant.id)
  if (!before) throw new Error('the enrollment that was there a moment ago is gone')
  const users = await deps.devices.deleteUserChannels(trx, before.id)
  await deps.commands.cancelAll(trx, [before.id, ...users])
  await deps.push.forget(trx, [before.id, ...users])
  await forgetRelease(trx, before.id)
  if (before.authenticated_at !== null) await deps.groups.removeDevice(trx, before.id)
  const row = rowOf(entrant, deps.clock.now())
  await deps.devices.updateEnrollment(trx, before.id, { ...blank(before), ...row })
  const { fingerprint } = entrant.from
  await deps.identity.bind(trx, { enrollmentId: before.id, fingerprint, renewal: false })
  return before
}

/** The device took a renewed profile of ours: nothing is reset, only what it says of itself is noted. */
async function updateOwnProfile(
  trx: Tx,
  deps: EnrollmentDeps,
  applicant: Applicant,
  message: AuthenticateMessage,
  raw: Buffer,
): Promise<Verdict> {
  const enrollment = await deps.devices.lockEnrollment(trx, applicant.id)
  if (!enrollment || enrollment.unenrolled_at !== null)
    return { ok: false, status: 403, reason: 'enrollment_ended', unrecognized: true }
  if (enrollment.topic !== applicant.topic) return { ok: false, status: 400, reason: 'topic_mismatch' }
  await deps.devices.updateEnrollment(trx, enrollment.id, { ...facts(message), updated_at: deps.clock.now() })
  await keep(trx, deps, enrollment.id, message, raw)
  return WELCOME
}

async function keep(
  trx: Tx,
  deps: EnrollmentDeps,
  id: string,
  message: AuthenticateMessage,
  raw: Buffer,
): Promise<void> {
  await deps.devices.insertMessage(trx, {
    enrollment_id: id,
    message_type: message.messageType,
    received_at: deps.clock.now(),
    raw: sealMessage(deps.secretBox, id, raw),
  })
}

/** What Authenticate tells of the device itself; what it leaves out stays as known. */
function facts(message: AuthenticateMessage): Partial<Enrollment> {
  const told = {
    model: message.model,
    model_name: message.modelName,
    product_name: message.productName,
    device_name: message.deviceName,
    os_version: message.osVersion,
    build_version: message.buildVersion,
    imei: message.imei,
    meid: message.meid,
  }
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined))
}

function blank(before: Enrollment): Partial<Enrollment> {
  return {
    push_token: null,
    token_updated_at: null,
    push_magic: null,
    unlock_token: null,
    bootstrap_token: null,
    awaiting_configuration: false,
    token_update_tally: 0,
    generation: before.authenticated_at === null ? 1 : before.generation + 1,
    enrolled_at: null,
    unenrolled_at: null,
    unenroll_reason: null,
    push_state: 'waiting_for_token',
    push_reason: null,
  }
}

function refused(reason: string): Verdict {
  return { ok: false, status: 403, reason }
}

function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
