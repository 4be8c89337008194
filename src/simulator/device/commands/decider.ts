import { AppError } from '../../../kernel/errors.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { DeviceHttp } from '../../wire/device-http.ts'
import { readConfiguration } from '../profiles/configuration.ts'
import { ACT_COMMANDS } from './acts.ts'
import { acknowledged, failedWith, malformed, notNow, refused, type Answer } from './answers.ts'
import { APP_COMMANDS, installApplication, installEnterprise } from './app-commands.ts'
import { unavailable } from './availability.ts'
import type { Mood, Refusal } from './mood.ts'
import { installProfile, profileList, removeProfile, type InstallDeps } from './profile-commands.ts'
import { QUERY_COMMANDS } from './queries.ts'
import type { DeviceSelf } from './self.ts'
import { applySettings } from './settings.ts'

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
interface DeciderDeps<Place> {
  mood: Mood
  http: DeviceHttp
  /** The device as it is on that channel. */
  self: (place: Place) => DeviceSelf
  install: () => InstallDeps
  setConfigured: () => void
}

/** Commands after which the device is not there any more, or not for a while. */
const ENDINGS: Readonly<Record<string, NonNullable<Decision['ends']>>> = {
  EraseDevice: 'erased',
  RestartDevice: 'restarting',
  ShutDownDevice: 'shut_down',
}

/** Commands that are answered at once. */
const SIMPLE: Readonly<Record<string, (command: PlistDict, self: DeviceSelf) => Answer>> = {
  ...QUERY_COMMANDS,
  ...APP_COMMANDS,
  ...ACT_COMMANDS,
  ProfileList: profileList,
  Settings: applySettings,
}

/** Decides what to say to each command of a place (a channel), mood first, and does what it asks. */
export function createDecider<Place>(
  deps: DeciderDeps<Place>,
): (command: Command, place: Place) => Promise<Decision> {
  return async ({ requestType, body }, place) => {
    const self = deps.self(place)
    const refusal = deps.mood(requestType, () => subjectOf(requestType, body, self.now))
    if (refusal !== undefined) return { answer: refusalAnswer(refusal) }
    const answer = unavailable(requestType, self)
    if (answer !== undefined) return { answer }
    return obey(requestType, body, self, deps)
  }
}

async function obey<Place>(
  requestType: string,
  body: PlistDict,
  self: DeviceSelf,
  { install, http, setConfigured }: DeciderDeps<Place>,
): Promise<Decision> {
  if (requestType === 'InstallProfile') return { answer: await installProfile(body, self, install()) }
  if (requestType === 'RemoveProfile') return decideRemoval(body['Identifier'], self)
  if (requestType === 'InstallApplication') return { answer: await installApplication(body, self, http) }
  if (requestType === 'InstallEnterpriseApplication')
    return { answer: await installEnterprise(body, self, http) }
  const handler = Object.hasOwn(SIMPLE, requestType) ? SIMPLE[requestType] : undefined
  if (handler === undefined)
    return { answer: refused(12021, `“${requestType}” is not a valid request type.`) }
  const answer = handler(body, self)
  if (answer.status !== 'Acknowledged') return { answer }
  if (requestType === 'DeviceConfigured') setConfigured()
  return Object.hasOwn(ENDINGS, requestType) ? { answer, ends: ENDINGS[requestType]! } : { answer }
}

function decideRemoval(identifier: unknown, self: DeviceSelf): Decision {
  if (typeof identifier !== 'string') return { answer: malformed }
  if (identifier === self.enrollmentIdentifier) return { answer: acknowledged(), ends: 'removed' }
  return { answer: removeProfile(identifier, self) }
}

/** What a command is about, for the script of a mood. */
function subjectOf(requestType: string, body: PlistDict, now: Date): string | undefined {
  const { Identifier: identifier, iTunesStoreID: id, ManifestURL: url, Payload: payload } = body
  if (requestType === 'InstallProfile' && payload instanceof Uint8Array) return identifierIn(payload, now)
  const named = identifier ?? id ?? url
  return typeof named === 'string' || typeof named === 'number' ? String(named) : undefined
}

function identifierIn(payload: Uint8Array, now: Date): string | undefined {
  try {
    return readConfiguration(payload, now).identifier
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

function refusalAnswer(refusal: Refusal): Answer {
  if (refusal === 'NotNow') return notNow
  if (refusal === 'CommandFormatError') return malformed
  return refusal === 'Error' ? refused(12000, 'The device could not do it.') : failedWith(refusal.links)
}
