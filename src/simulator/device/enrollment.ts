import { AppError } from '../../kernel/errors.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { Identity } from '../../protocol/x509/index.ts'
import type { DeviceFacts } from '../device-facts.ts'
import type { KeyPool } from '../key-pool.ts'
import { ConnectionLost, MalformedHttp } from '../wire/device-http.ts'
import { renewPush, type Channel } from './channel.ts'
import { authenticateMessage, tokenUpdateMessage } from './check-in-messages.ts'
import type { Contact, Reply } from './contact.ts'
import { checkProfileType, readEnrollmentProfile } from './profiles/enrollment-profile.ts'
import type { EnrollmentProfile } from './profiles/enrollment-profile.ts'
import { requestCertificate, type ScepDeps } from './scep/client.ts'

/** Where the enrollment profile comes from. */
export type EnrollmentSource = { url: string } | { profile: Uint8Array }

/** How an enrollment ended. `lost`: the server was away, so that trying again makes sense. */
export type EnrollmentOutcome =
  | { enrolled: true }
  | {
      enrolled: false
      step: 'profile' | 'certificate' | 'authenticate' | 'token_update'
      reason: string
      lost: boolean
    }

/** What the steps of an enrollment need of their device. */
interface EnrollmentDeps extends ScepDeps {
  keys: KeyPool
  facts: DeviceFacts
  channel: Channel
  contact: Contact
  /** Sends a message again that often, a second later each time, while nobody answers. */
  patience: number
  /** From now on the device talks as this. */
  adopt(profile: EnrollmentProfile, identity: Identity): void
  /** The server knows that an enrollment began: whatever was before is void. */
  authenticated(): void
  /** Called with a new push token before the server learns it. */
  announceToken(token: string): void
  /** Keys of TokenUpdate that depend on the device (UnlockToken, AwaitingConfiguration). */
  tokenKeys(): PlistDict
}

const PAUSE_MS = 1_000

type Step = Extract<EnrollmentOutcome, { enrolled: false }>['step']

/** Runs the whole enrollment: profile, SCEP, Authenticate, TokenUpdate. Never throws for what a server does. */
export async function runEnrollment(
  deps: EnrollmentDeps,
  source: EnrollmentSource,
): Promise<EnrollmentOutcome> {
  const { channel, contact, facts, random } = deps
  let step: Step = 'profile'
  try {
    const bytes = 'url' in source ? await fetchProfile(deps, source.url) : source.profile
    const profile = readStrictly(bytes, deps)
    step = 'certificate'
    const identity = await requestCertificate(deps, profile.scep, await deps.keys.next())
    deps.adopt(profile, identity)
    step = 'authenticate'
    const authenticate = authenticateMessage(facts, channel.ids, profile.topic)
    await insist(deps, () => contact.checkIn(authenticate))
    deps.authenticated()
    step = 'token_update'
    const push = { topic: profile.topic, ...renewPush(channel, random) }
    deps.announceToken(push.token.toString('hex'))
    const update = tokenUpdateMessage(channel.ids, push, deps.tokenKeys())
    await insist(deps, () => contact.checkIn(update))
    return { enrolled: true }
  } catch (error) {
    if (error instanceof ConnectionLost) return { enrolled: false, step, reason: error.message, lost: true }
    if (error instanceof MalformedHttp) deps.report('malformed_http', `${step}: ${error.message}`)
    else if (!(error instanceof AppError)) throw error
    return { enrolled: false, step, reason: error.message, lost: false }
  }
}

async function fetchProfile(deps: EnrollmentDeps, url: string): Promise<Buffer> {
  const headers = { accept: '*/*', 'user-agent': 'Profile/1.0' }
  const answer = await deps.http.send({ method: 'GET', url, headers })
  if (answer.status === 429 || answer.status >= 500)
    throw new ConnectionLost(`the link answered ${answer.status}`)
  if (answer.status !== 200) throw new AppError('message_invalid', `the link answered ${answer.status}`)
  try {
    checkProfileType(answer.headers['content-type'])
  } catch (error) {
    deps.report('wrong_content_type', (error as Error).message)
    throw error
  }
  return answer.body
}

function readStrictly(bytes: Uint8Array, deps: EnrollmentDeps): EnrollmentProfile {
  try {
    return readEnrollmentProfile(bytes, deps.clock.now())
  } catch (error) {
    deps.report('profile_invalid', (error as Error).message)
    throw error
  }
}

/** Sends until somebody answers or patience ends; refuses what is no empty 200. */
async function insist(deps: EnrollmentDeps, send: () => Promise<Reply>): Promise<void> {
  for (let tries = 0; ; tries++) {
    const reply = await send()
    if (reply.kind === 'ok') {
      if (reply.body.length > 0) deps.report('body_not_empty', 'an answer to a check-in message')
      return
    }
    if (reply.kind === 'unmanaged')
      throw new AppError('message_invalid', 'the server does not know the device')
    if (reply.kind === 'refused') throw new AppError('message_invalid', `the server answered ${reply.status}`)
    if (tries >= deps.patience) throw new ConnectionLost(`no answer (${reply.status ?? 'no connection'})`)
    await new Promise<void>((resolve) => deps.clock.after(PAUSE_MS, resolve))
  }
}
