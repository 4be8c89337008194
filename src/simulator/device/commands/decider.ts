import type { PlistDict } from '../../../protocol/plist/index.ts'
import { acknowledged, answerCommand, failed, malformed, type Answer } from './answers.ts'
import type { DeviceView } from './device-view.ts'
import type { Mood } from './mood.ts'
import { installProfile, removeProfile } from './profile-commands.ts'
import type { InstallDeps, InstalledProfiles } from './profile-commands.ts'

/** A command as it came. */
export interface Command {
  commandUuid: string
  requestType: string
  body: PlistDict
}

/** What a device does with a command; `ends` names why the session stops once the result is delivered. */
export interface Decision {
  answer: Answer
  ends?: 'removed' | 'erased' | 'restarting' | 'shut_down'
}

/** What deciding over commands needs of its device. */
interface DeciderDeps {
  mood: Mood
  view: () => DeviceView
  profiles: InstalledProfiles
  install: () => InstallDeps
  setConfigured: () => void
}

/** Commands after which the device is not there any more, or not for a while. */
const ENDINGS: Readonly<Record<string, NonNullable<Decision['ends']>>> = {
  EraseDevice: 'erased',
  RestartDevice: 'restarting',
  ShutDownDevice: 'shut_down',
}

/** Decides what to say to each command, mood first, and does what it asks. */
export function createDecider(deps: DeciderDeps): (command: Command) => Promise<Decision> {
  const { mood, view, profiles } = deps
  return async ({ requestType, body }) => {
    const refusal = mood(requestType)
    if (refusal !== undefined) return { answer: refusalAnswer(refusal) }
    if (requestType === 'InstallProfile') return { answer: await installProfile(body, deps.install()) }
    if (requestType === 'RemoveProfile') return decideRemoval(body['Identifier'], deps, profiles)
    const answer = answerCommand(requestType, body, view())
    if (answer.status === 'Acknowledged' && requestType === 'DeviceConfigured') deps.setConfigured()
    const ends = answer.status === 'Acknowledged' && Object.hasOwn(ENDINGS, requestType)
    return ends ? { answer, ends: ENDINGS[requestType]! } : { answer }
  }
}

function decideRemoval(identifier: unknown, deps: DeciderDeps, profiles: InstalledProfiles): Decision {
  if (typeof identifier !== 'string') return { answer: malformed }
  const isEnrollment = identifier === deps.install().enrollment.configuration.identifier
  if (isEnrollment) return { answer: acknowledged(), ends: 'removed' }
  return { answer: removeProfile(identifier, profiles) }
}

function refusalAnswer(refusal: 'NotNow' | 'Error' | 'CommandFormatError'): Answer {
  if (refusal === 'Error') return failed('MCMDMErrorDomain', 12000, 'The device could not do it.')
  return refusal === 'CommandFormatError' ? malformed : { status: 'NotNow', keys: {} }
}
