import type { Entrance, Visit } from '../power-on/entrance.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { readyPage } from '../pages/ready.ts'
import { notHere, refusedAnswer, startAgain, type WebAnswer, type WebRequest } from './answers.ts'
import { signInForm } from './forms.ts'
import { browserOf, journeyIn, newJourney } from './journey.ts'
import type { createProfileEnd } from './profile.ts'
import type { createSignInSteps } from './sign-in.ts'
import type { Travel } from './travel.ts'

/** What the beginnings of journeys work with. */
interface Parts {
  entrance: Entrance
  travel: Travel
  begin: ReturnType<typeof createSignInSteps>['begin']
  profileFor: ReturnType<typeof createProfileEnd>['profileFor']
}

/** The beginnings of journeys: the web view of Setup Assistant, and the page for devices of people's own. */
export function createBeginnings(deps: EntryDeps, { entrance, travel, begin, profileFor }: Parts) {
  const { signin, settings } = deps

  /** Whether the browser holds the session of another device: it gets nothing, and has to begin without it. */
  async function isOthersSession(request: WebRequest, { machine }: Visit): Promise<string | undefined> {
    const session = await signin.sessions.find(request.cookie)
    const device = session && journeyIn(session.state)?.device
    if (!session || !device || (device.serial === machine.serial && device.udid === machine.udid))
      return undefined
    return signin.sessions.end(session)
  }

  async function openFor(request: WebRequest, visit: Visit): Promise<WebAnswer> {
    const { machine, policy } = visit
    const taken = await isOthersSession(request, visit)
    if (taken !== undefined) {
      const detail = { problem: 'the web view came with the session of another device' }
      await entrance.record(visit, {
        refusal: { step: 'sign_in', reason: 'sign_in_required', detail, ends: true },
      })
      return { ...startAgain(request, 'ade_web'), setCookie: taken }
    }
    const { attemptId } = await entrance.record(visit, {})
    if (policy.user_affinity === 'none')
      return profileFor(request, { attempt_id: attemptId, way: 'ade_web', user: null })
    const journey = newJourney({
      way: 'ade_web',
      attempt_id: attemptId,
      browser: browserOf(request.userAgent),
      device: { serial: machine.serial, udid: machine.udid },
      source_id: policy.sign_in_source_id,
    })
    const { session, setCookie } = await signin.sessions.open(journey)
    return { ...(await begin(request, { session, journey })), setCookie }
  }

  return {
    /** The first load of `configuration_web_url`. */
    async openWebView(request: WebRequest, key: string): Promise<WebAnswer> {
      if (request.deviceInfo === undefined) return notHere(request)
      const visit = await entrance.receive(key, { header: request.deviceInfo }, request)
      if (visit === 'unknown_key') return { kind: 'unknown_key' }
      if (visit === 'refused') return refusedAnswer(request, 'machine_info_invalid')
      const { refusal, updateTo } = visit.checked
      if (refusal === undefined) return openFor(request, visit)
      await entrance.record(visit, {})
      return refusedAnswer(request, refusal.reason, { osVersion: updateTo })
    },

    /** The page on which a person enrols a device of their own. Nothing is written for it. */
    async openPage(request: WebRequest): Promise<WebAnswer> {
      const source_id = (await settings.get()).enroll_sign_in_source_id
      const known = await travel.find(request)
      if (known?.session.isInCookie && known.journey.source_id === source_id)
        return signInForm(signin, request, known)
      const journey = newJourney({ way: 'page', source_id, browser: browserOf(request.userAgent) })
      const { session, setCookie } = signin.sessions.begin(journey)
      return { ...(await signInForm(signin, request, { session, journey })), setCookie }
    },

    /** The page with the profile, for someone who has signed in there. */
    async ready(request: WebRequest): Promise<WebAnswer> {
      const found = await travel.find(request)
      if (!found?.journey.user) return startAgain(request, found?.journey.way)
      const page = readyPage(request.look, { href: '/enroll/profile', userName: found.journey.user.name })
      return { kind: 'page', status: 200, page }
    },
  }
}
