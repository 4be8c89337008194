import { isDict, type PlistDict } from '../../../protocol/plist/index.ts'
import {
  dictOf,
  flagOf,
  mediaType,
  refuse,
  textOf,
  textsOf,
  urlOf,
  uuidOf,
} from '../../wire/strict-reading.ts'
import { readScepSettings } from '../scep/settings.ts'
import { readConfiguration, type Configuration } from './configuration.ts'

/** What a device keeps of the profile that enrols it. */
export type EnrollmentProfile = ReturnType<typeof readEnrollmentProfile>

/** The media type of configuration profiles. */
export const PROFILE_TYPE = 'application/x-apple-aspen-config'
const MDM = 'com.apple.mdm'
const SCEP = 'com.apple.security.scep'
const ALL_RIGHTS = 8191
const CAPABILITIES = [
  'com.apple.mdm.per-user-connections',
  'com.apple.mdm.bootstraptoken',
  'com.apple.mdm.token',
]

/** Refuses a profile served as anything but a profile. */
export function checkProfileType(contentType: string | undefined): void {
  if (mediaType(contentType) !== PROFILE_TYPE) {
    refuse(`the profile came as ${contentType ?? 'nothing'}, not ${PROFILE_TYPE}`)
  }
}

/**
 * Reads an enrollment profile as strictly as a device that wants to find fault: signed, well-formed, with exactly
 * one com.apple.mdm payload whose identity is a SCEP payload of the same profile.
 *
 * Refuses `message_invalid` (or a code of the codecs) with the part that is wrong.
 * https://developer.apple.com/documentation/devicemanagement/mdm
 */
export function readEnrollmentProfile(bytes: Uint8Array, now: Date) {
  const configuration = readConfiguration(bytes, now)
  if (!configuration.signed) refuse('the enrollment profile is not signed')
  const { payloads } = configuration
  const found = payloads.filter((payload) => payload['PayloadType'] === MDM)
  const mdm = found[0]
  if (mdm === undefined || found.length > 1)
    return refuse(`${found.length} com.apple.mdm payloads instead of one`)
  const identityUuid = uuidOf(mdm, 'IdentityCertificateUUID', MDM)
  const identity = payloads.find((payload) => payload['PayloadUUID'] === identityUuid)
  if (identity === undefined || identity['PayloadType'] !== SCEP) {
    return refuse('IdentityCertificateUUID names no com.apple.security.scep payload of the profile')
  }
  const serverUrl = urlOf(mdm, 'ServerURL', MDM)
  if (!flagOf(mdm, 'SignMessage', MDM)) refuse(`${MDM}: SignMessage is not true`)
  if (flagOf(mdm, 'UseDevelopmentAPNS', MDM)) refuse(`${MDM}: UseDevelopmentAPNS is set`)
  return {
    configuration,
    scep: readScepSettings(dictOf(identity['PayloadContent'], `${SCEP}: PayloadContent`)),
    topic: readTopic(mdm),
    serverUrl,
    checkInUrl: mdm['CheckInURL'] === undefined ? serverUrl : urlOf(mdm, 'CheckInURL', MDM),
    accessRights: readAccessRights(mdm),
    checkOutWhenRemoved: flagOf(mdm, 'CheckOutWhenRemoved', MDM),
    capabilities: readCapabilities(mdm),
  }
}

/** Whether a profile holds an MDM payload, so that installing it concerns the enrollment. */
export function concernsEnrollment(configuration: Configuration): boolean {
  return configuration.payloads.some((payload) => isDict(payload) && payload['PayloadType'] === MDM)
}

/**
 * Why `next` may not update `current`, as a device decides it: identifier, topic, URLs and the per-user capability
 * are fixed, rights may only shrink. Undefined when it may.
 */
export function updateProblem(current: EnrollmentProfile, next: EnrollmentProfile): string | undefined {
  const perUser = (profile: EnrollmentProfile) => profile.capabilities.includes(CAPABILITIES[0]!)
  if (next.configuration.identifier !== current.configuration.identifier) return 'another PayloadIdentifier'
  if (next.topic !== current.topic) return 'another Topic'
  if (next.serverUrl !== current.serverUrl) return 'another ServerURL'
  if (next.checkInUrl !== current.checkInUrl) return 'another CheckInURL'
  if ((next.accessRights & ~current.accessRights) !== 0) return 'more AccessRights'
  if (perUser(next) !== perUser(current)) return 'other ServerCapabilities'
  return undefined
}

function readTopic(mdm: PlistDict): string {
  const topic = textOf(mdm, 'Topic', MDM)
  return /^com\.apple\.mgmt\.[\w.-]+$/.test(topic) ? topic : refuse(`${MDM}: ${topic} is no topic of MDM`)
}

function readAccessRights(mdm: PlistDict): number {
  const rights = mdm['AccessRights']
  if (typeof rights !== 'number' || !Number.isInteger(rights) || rights < 1 || rights > ALL_RIGHTS) {
    return refuse(`${MDM}: AccessRights is not between 1 and ${ALL_RIGHTS}`)
  }
  if ((rights & 2 && !(rights & 1)) || (rights & 128 && !(rights & 64))) {
    refuse(`${MDM}: AccessRights installs what it may not inspect`)
  }
  return rights
}

function readCapabilities(mdm: PlistDict): string[] {
  const capabilities = textsOf(mdm, 'ServerCapabilities', MDM)
  const odd = capabilities.find((capability) => !CAPABILITIES.includes(capability))
  return odd === undefined ? capabilities : refuse(`${MDM}: ${odd} is no server capability`)
}
