import { softwareUpdateRequired } from '../../../protocol/ade/index.ts'
import { readBasic, type SignInRefusal, type SignInResult } from '../../signin/index.ts'
import { renderProfile } from '../profile.ts'
import type { EntryDeps } from './deps.ts'
import type { Decision, Entrance, Visit } from './entrance.ts'
import { judgeSignedIn, tellableName } from './person.ts'

/** A POST of a device in Setup Assistant. */
interface PowerOnRequest {
  key: string
  body: unknown
  authorization: string | undefined
  /** Where it came from. */
  address: string
  requestId: string
}

/** What the device is answered. `refused` is the empty 403 that tells nothing. */
export type PowerOnAnswer =
  | { kind: 'profile'; profile: Buffer }
  | { kind: 'unknown_key' | 'refused' | 'unavailable' }
  | { kind: 'sign_in'; realm: string }
  | { kind: 'wait'; seconds: number }
  | { kind: 'update'; contentType: string; body: string }

const REALM = 'Device enrollment'
const MAX_REALM = 60

/** The answer to Setup Assistant's POST: every check in its order, then the profile for this device alone. */
export function createPowerOn(deps: EntryDeps, entrance: Entrance) {
  async function signIn(
    visit: Visit,
    request: PowerOnRequest,
  ): Promise<SignInResult & { userName?: string }> {
    if (request.authorization === undefined)
      return { ok: false, reason: 'sign_in_required', detail: 'nobody has signed in yet' }
    const credentials = readBasic(request.authorization)
    if ('problem' in credentials)
      return { ok: false, reason: 'invalid_credentials', detail: credentials.problem }
    const { userName } = credentials
    const { address, requestId } = request
    const sourceId = visit.policy.sign_in_source_id
    const result = await deps.signin.verify({ sourceId, ...credentials, address, requestId })
    return { ...result, userName }
  }

  async function refuseSignIn(
    visit: Visit,
    refusal: SignInRefusal,
    { typed, isAnswer }: { typed: string | undefined; isAnswer: boolean },
  ): Promise<PowerOnAnswer> {
    const { reason, detail, user, retryAfterSeconds = 1 } = refusal
    const name = user?.user_name ?? (typed === undefined ? undefined : await tellableName(deps, typed))
    await entrance.record(visit, {
      ...(name !== undefined && { facts: { user_name: name } }),
      isAnswer,
      refusal: {
        step: 'sign_in',
        reason,
        detail: { problem: detail },
        ends: false,
        ...(name !== undefined && { user_name: name }),
      },
    })
    if (reason === 'directory_unavailable') return { kind: 'unavailable' }
    if (reason === 'too_many_failures') return { kind: 'wait', seconds: retryAfterSeconds }
    return { kind: 'sign_in', realm: realmOf(visit) }
  }

  async function withPerson(visit: Visit, request: PowerOnRequest): Promise<PowerOnAnswer> {
    if (visit.policy.ade.sign_in === 'web') {
      const detail = { problem: 'this policy asks people to sign in on its web page' }
      return refuse(visit, { refusal: { step: 'sign_in', reason: 'sign_in_required', detail, ends: true } })
    }
    const result = await signIn(visit, request)
    if (!result.ok) {
      const isAnswer = request.authorization !== undefined
      return refuseSignIn(visit, result, { typed: result.userName, isAnswer })
    }
    const { user } = result
    const facts = { user_id: user.id, user_name: user.user_name }
    const { udid, serial, isProven } = visit.machine
    const device = { udid, serial: isProven ? serial : undefined, isAutomated: true }
    const { steps, refusal } = await judgeSignedIn(deps, user, device)
    const decision = { facts, steps, isAnswer: true }
    if (refusal)
      return refuse(visit, { ...decision, refusal: { ...refusal, user_name: user.user_name, ends: true } })
    return grant(visit, decision)
  }

  async function refuse(visit: Visit, decision: Decision): Promise<PowerOnAnswer> {
    await entrance.record(visit, decision)
    return { kind: 'refused' }
  }

  async function grant(visit: Visit, decision: Decision): Promise<PowerOnAnswer> {
    const { attemptId, challenge } = await entrance.record(visit, decision, true)
    if (challenge === null || visit.topic === null) throw new Error('a granted visit has no challenge')
    const profile = await renderProfile(deps, { reference: attemptId, challenge, topic: visit.topic })
    return { kind: 'profile', profile }
  }

  return async function powerOn(request: PowerOnRequest): Promise<PowerOnAnswer> {
    const visit = await entrance.receive(request.key, { body: request.body }, request)
    if (visit === 'unknown_key' || visit === 'refused') return { kind: visit }
    const { checked, policy } = visit
    if (checked.refusal !== undefined) {
      await entrance.record(visit, {})
      if (checked.updateTo === undefined) return { kind: 'refused' }
      return { kind: 'update', ...updateDocument(checked.updateTo) }
    }
    return policy.user_affinity === 'prompt' ? withPerson(visit, request) : grant(visit, {})
  }
}

function updateDocument(osVersion: string): { contentType: string; body: string } {
  const message = `This device needs version ${osVersion} of its operating system, or a later one, first.`
  const { contentType, body } = softwareUpdateRequired({ osVersion, message })
  return { contentType, body }
}

/** What the form may show; header fields take plain characters only. */
function realmOf({ policy }: Visit): string {
  const text = (policy.ade.department ?? '').replace(/[^ -~]|["\\]/g, '').trim()
  return text === '' ? REALM : text.slice(0, MAX_REALM)
}
