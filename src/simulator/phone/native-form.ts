import { compareVersions } from '../../protocol/ade/index.ts'
import { checkProfileType } from '../device/profiles/enrollment-profile.ts'
import { ConnectionLost, type HttpAnswer } from '../wire/device-http.ts'
import { end, genericScreen, type PhoneSteps, type ProfileEnd } from './setup-steps.ts'
import { checkNoProfile, checkSilence } from './silence.ts'
import { readUpdateDemand } from './software-update.ts'

const REQUEST_NAME = 'the power-on request'
const MAX_ROUNDS = 50
const FORESEEN_STATUSES = [404, 429, 503]

/** Credentials typed so far, and the header that carries the last ones. */
interface Typed {
  tries: number
  authorization: string | undefined
}

/** Asks for the enrollment profile by POST, with the native form for user name and password when the server wants it. */
export async function askNatively(steps: PhoneSteps, url: string): Promise<ProfileEnd> {
  const typed: Typed = { tries: 0, authorization: undefined }
  let updates = 0
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const answer = await post(steps, url, typed.authorization)
    if (answer === undefined) return end('stuck', genericScreen(steps), undefined, typed)
    if (answer.status === 200) return takeProfile(steps, answer, typed)
    checkNoProfile(REQUEST_NAME, answer, steps.report)
    if (answer.status === 401) {
      const stop = typeCredentials(steps, answer, typed)
      if (stop !== undefined) return stop
    } else {
      const stop = refusal(steps, answer, typed, updates)
      if (stop !== undefined) return stop
      updates += 1
      // After the restart the form is empty again.
      typed.authorization = undefined
    }
  }
  steps.report('unexpected_status', `${REQUEST_NAME}: no end after ${MAX_ROUNDS} answers`)
  return end('stuck', genericScreen(steps), undefined, typed)
}

async function post(
  { http, machineInfo }: PhoneSteps,
  url: string,
  authorization: string | undefined,
): Promise<HttpAnswer | undefined> {
  try {
    return await http.send({
      method: 'POST',
      url,
      headers: {
        'content-type': 'application/pkcs7-signature',
        accept: '*/*',
        'user-agent': 'DeviceManagementClient/1.0',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: await machineInfo(),
    })
  } catch (error) {
    if (error instanceof ConnectionLost) return undefined
    throw error
  }
}

function takeProfile({ report }: PhoneSteps, answer: HttpAnswer, { tries }: Typed): ProfileEnd {
  try {
    checkProfileType(answer.headers['content-type'])
    return { kind: 'profile', bytes: answer.body, signInTries: tries }
  } catch (error) {
    report('wrong_content_type', (error as Error).message)
    return end('stuck', 'Invalid Profile', 200, { tries })
  }
}

/** Puts the next credentials into the form; an end when there are none, or no form. */
function typeCredentials(steps: PhoneSteps, answer: HttpAnswer, typed: Typed): ProfileEnd | undefined {
  const { person, organization, report } = steps
  const challenge = answer.headers['www-authenticate'] ?? ''
  if (!/^basic\s+realm="[^"]*"/i.test(challenge)) {
    report('challenge_invalid', `WWW-Authenticate: ${challenge === '' ? 'nothing' : challenge}`)
    return end('stuck', genericScreen(steps), 401, typed)
  }
  const password = person?.passwords[typed.tries]
  if (person === undefined || password === undefined) {
    const hint = typed.tries === 0 ? '' : ' (the user name or password is incorrect)'
    return end('refused', `Sign in to ${organization}: user name and password${hint}`, 401, typed)
  }
  typed.tries += 1
  typed.authorization = `Basic ${Buffer.from(`${person.userName}:${password}`).toString('base64')}`
  return undefined
}

/** An end, or undefined when the phone has updated itself and asks again. */
function refusal(
  steps: PhoneSteps,
  answer: HttpAnswer,
  typed: Typed,
  updates: number,
): ProfileEnd | undefined {
  const { facts, newestOs, report } = steps
  const { status, headers } = answer
  if (status === 403) {
    const demand = readUpdateDemand(answer, { facts, canUpdate: newestOs !== undefined }, report)
    if (demand !== undefined) {
      const isThere = newestOs !== undefined && compareVersions(demand.osVersion, newestOs) <= 0
      const text = demand.message ?? `Software update required: ${demand.osVersion}`
      if (!isThere || updates > 0) return end('stuck', text, 403, typed)
      facts.osVersion = demand.osVersion
      facts.buildVersion = demand.buildVersion ?? facts.buildVersion
      return undefined
    }
    checkSilence(REQUEST_NAME, answer, report)
  } else if (status === 429 && !/^\d+$/.test(headers['retry-after'] ?? ''))
    report('retry_after_missing', REQUEST_NAME)
  else if (!FORESEEN_STATUSES.includes(status)) report('unexpected_status', `${REQUEST_NAME}: ${status}`)
  return end(status >= 500 ? 'stuck' : 'refused', genericScreen(steps), status, typed)
}
