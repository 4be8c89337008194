import type { Tx } from '../../db/index.ts'
import { addTime } from '../../kernel/clock.ts'
import type { Authenticate } from '../../protocol/mdm/index.ts'
import type { Attempt } from '../attempts/index.ts'
import type { Enrollment } from '../devices/index.ts'
import { checkSameDevice, checkUser, type Applicant, type Refusal } from './admission.ts'
import type { EnrollmentDeps, Sender, Verdict } from './deps.ts'
import { HALF_ENROLLED_MINUTES } from './end.ts'
import { sealMessage } from './messages.ts'
import { forgetRelease } from './release/release.ts'

type AuthenticateMessage = Omit<Authenticate, 'raw'>

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
    const bindings = await deps.identity.bindings(trx, from.fingerprint)
    const own = bindings.find((binding) => sameId(binding.enrollment_id, applicant.id))
    if (!own && bindings.length > 0) return refused('certificate_mismatch')
    if (own?.state === 'ended')
      return { ok: false, status: 403, reason: 'enrollment_ended', unrecognized: true }
    if (own?.state === 'replaced') return refused('certificate_replaced')
    if (own?.renewal) return updateOwnProfile(trx, deps, applicant, message, from.raw)

    const issued = await deps.identity.issued(trx, from.fingerprint)
    const attempt = issued?.attempt_id ? await deps.attempts.lock(trx, issued.attempt_id) : undefined
    if (!attempt) return refused('certificate_unknown')
    // The same certificate again: the device repeats a message whose answer it lost, or installs its profile anew.
    if (!own && attempt.outcome !== 'in_progress') return refused(attempt.reason ?? 'attempt_closed')

    const refusal =
      (await checkTopic(trx, deps, applicant)) ??
      (own ? undefined : await admit(trx, deps, attempt, applicant))
    if (refusal) return reject(trx, deps, attempt, applicant, refusal, from.requestId)
    await start(trx, deps, attempt, applicant, message, from)
    return WELCOME
  })
}

async function checkTopic(trx: Tx, deps: EnrollmentDeps, { topic }: Applicant): Promise<Refusal | undefined> {
  const isKnown = await deps.push.certificates.knows(trx, topic)
  return isKnown ? undefined : { reason: 'topic_mismatch', detail: { topic } }
}

async function admit(
  trx: Tx,
  deps: EnrollmentDeps,
  attempt: Attempt,
  applicant: Applicant,
): Promise<Refusal | undefined> {
  const other = checkSameDevice(attempt, applicant)
  if (other) return other
  const user = await checkUser(trx, deps, attempt, applicant)
  if (user) return user
  if (attempt.link_id === null) return undefined
  const use = await deps.links.takeUse(trx, attempt.link_id)
  return use === 'taken' ? undefined : { reason: use, detail: { link_id: attempt.link_id } }
}

async function reject(
  trx: Tx,
  deps: EnrollmentDeps,
  attempt: Attempt,
  applicant: Applicant,
  refusal: Refusal,
  requestId: string,
): Promise<Verdict> {
  const { udid, serial_number } = applicant
  await deps.attempts.note(trx, attempt.id, {
    ...(attempt.udid === null && udid !== null && { udid }),
    ...(attempt.serial_number === null && serial_number !== null && { serial_number }),
  })
  const step = refusal.reason === 'device_limit_exceeded' ? 'device_limit' : 'authenticate'
  await deps.attempts.reject(trx, attempt.id, { step, ...refusal, request_id: requestId })
  return { ok: false, status: refusal.reason === 'topic_mismatch' ? 400 : 403, reason: refusal.reason }
}

/** Makes the enrollment new: nothing of an earlier one (queue, tokens, user channels, certificates) survives. */
async function start(
  trx: Tx,
  deps: EnrollmentDeps,
  attempt: Attempt,
  applicant: Applicant,
  message: AuthenticateMessage,
  from: Sender,
): Promise<void> {
  const now = deps.clock.now()
  const type = message.identity.type === 'user_enrollment_device' ? 'user_enrollment_device' : 'device'
  const told = {
    ...facts(message),
    type,
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
  // Every step is a wait of all who enrol by the same link: a device that was never here has nothing to be put away.
  const isNew = await deps.devices.insertEnrollment(trx, {
    ...told,
    ...{ id: applicant.id, generation: 1, created_at: now },
  })
  const before = isNew ? undefined : await clear(trx, deps, applicant.id, told)
  const id = before?.id ?? applicant.id
  const { fingerprint } = from
  await deps.identity.bind(trx, { enrollmentId: id, fingerprint, renewal: false, isFirst: isNew })
  await joinGroups(trx, deps, attempt, id)
  await keep(trx, deps, id, message, from.raw)
  await deps.attempts.note(trx, attempt.id, {
    enrollment_id: id,
    deadline: addTime(now, HALF_ENROLLED_MINUTES, 'minute'),
    ...(applicant.udid !== null && { udid: applicant.udid }),
    ...(applicant.serial_number !== null && { serial_number: applicant.serial_number }),
  })
  await deps.attempts.step(trx, attempt.id, { step: 'authenticate', outcome: 'passed' })
  await deps.events.emit(trx, {
    type: 'device.authenticated',
    enrollment_id: id,
    serial_number: applicant.serial_number,
    user_name: attempt.user_name,
    attempt_id: attempt.id,
    request_id: from.requestId,
    data: { again: (before?.authenticated_at ?? null) !== null },
  })
}

/** Puts away what was of an earlier enrollment of the device, and makes it the new one. */
async function clear(
  trx: Tx,
  deps: EnrollmentDeps,
  id: string,
  told: Partial<Enrollment>,
): Promise<Enrollment> {
  const before = await deps.devices.lockEnrollment(trx, id)
  if (!before) throw new Error('the enrollment that was there a moment ago is gone')
  const users = await deps.devices.deleteUserChannels(trx, before.id)
  await deps.commands.cancelAll(trx, [before.id, ...users])
  await deps.push.forget(trx, [before.id, ...users])
  await forgetRelease(trx, before.id)
  if (before.authenticated_at !== null) await deps.groups.removeDevice(trx, before.id)
  await deps.devices.updateEnrollment(trx, before.id, { ...blank(before), ...told })
  return before
}

/** The static groups that its policy and its link name; that of the policy itself follows from its devices. */
async function joinGroups(trx: Tx, deps: EnrollmentDeps, attempt: Attempt, id: string): Promise<void> {
  const { policy_id: policyId, link_id: linkId } = attempt
  const policy = policyId === null ? undefined : await deps.policies.find(trx, policyId)
  const linked = linkId === null ? null : await deps.links.groupOf(trx, linkId)
  for (const groupId of new Set([policy?.group_id ?? null, linked]))
    if (groupId !== null) await deps.groups.addMember(trx, groupId, id)
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
