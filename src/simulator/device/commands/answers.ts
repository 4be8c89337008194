import { OID } from '../../../protocol/asn1/index.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import { nameAttribute, type Certificate } from '../../../protocol/x509/index.ts'
import { installedApps } from './app-list.ts'
import { queryResponses } from './device-information.ts'
import type { DeviceView } from './device-view.ts'

/** The answer to a command: its status and the keys that go with it. */
export interface Answer {
  status: 'Acknowledged' | 'Error' | 'CommandFormatError' | 'NotNow'
  keys: PlistDict
}

/** An answer with an error chain of one. */
export function failed(domain: string, code: number, description: string): Answer {
  const link = {
    ErrorCode: code,
    ErrorDomain: domain,
    LocalizedDescription: description,
    USEnglishDescription: description,
  }
  return { status: 'Error', keys: { ErrorChain: [link] } }
}

/** The command was done. */
export function acknowledged(keys: PlistDict = {}): Answer {
  return { status: 'Acknowledged', keys }
}

/** The command lacks what it needs. */
export const malformed: Answer = { status: 'CommandFormatError', keys: {} }

type Answerer = (command: PlistDict, view: DeviceView) => Answer

const done: Answerer = () => acknowledged()

/** How each command type is answered that changes nothing the simulator keeps. */
const ANSWERERS: Readonly<Record<string, Answerer>> = {
  DeviceInformation: (command, view) => {
    const queries = command['Queries']
    if (!Array.isArray(queries)) return malformed
    const texts = queries.filter((query) => typeof query === 'string')
    return acknowledged({ QueryResponses: queryResponses(texts, view) })
  },
  SecurityInfo: () => acknowledged({ SecurityInfo: SECURITY_INFO }),
  InstalledApplicationList: (command, view) => {
    const wanted = command['Identifiers']
    const apps = installedApps(view.appCount)
    const list = Array.isArray(wanted) ? apps.filter((app) => wanted.includes(app['Identifier']!)) : apps
    return acknowledged({ InstalledApplicationList: list })
  },
  ProfileList: (_, view) => acknowledged({ ProfileList: view.profiles.map(describeProfile) }),
  CertificateList: (_, { certificate }) =>
    acknowledged({ CertificateList: certificate === undefined ? [] : [describeCertificate(certificate)] }),
  ProvisioningProfileList: () => acknowledged({ ProvisioningProfileList: [] }),
  ManagedApplicationList: () => acknowledged({ ManagedApplicationList: {} }),
  AvailableOSUpdates: () => acknowledged({ AvailableOSUpdates: [] }),
  OSUpdateStatus: () => acknowledged({ OSUpdateStatus: [] }),
  Restrictions: () => acknowledged({ GlobalRestrictions: {} }),
  Settings: (command) => {
    const settings = command['Settings']
    if (!Array.isArray(settings)) return malformed
    return acknowledged({ Settings: settings.map(() => ({ Status: 'Acknowledged' })) })
  },
  DeviceLock: () => acknowledged({ MessageResult: 'Success' }),
  DeclarativeManagement: done,
  ClearPasscode: (command) => (command['UnlockToken'] instanceof Uint8Array ? acknowledged() : malformed),
  RestartDevice: done,
  ShutDownDevice: done,
  EraseDevice: done,
  DeviceConfigured: done,
  UserConfigured: done,
  InstallApplication: (command) => {
    const known = ['iTunesStoreID', 'ManifestURL', 'Identifier'].some((key) => command[key] !== undefined)
    return known ? acknowledged({ State: 'Prompting' }) : malformed
  },
  RemoveApplication: (command) => (typeof command['Identifier'] === 'string' ? acknowledged() : malformed),
}

const SECURITY_INFO: PlistDict = {
  HardwareEncryptionCaps: 3,
  PasscodePresent: true,
  PasscodeCompliant: true,
  PasscodeCompliantWithProfiles: true,
  PasscodeLockGracePeriodEnforced: 0,
  ManagementStatus: { EnrolledViaDEP: false, IsUserEnrollment: false, UserApprovedEnrollment: true },
}

/** Answers a command as an iPhone or iPad would; a type it does not know is Error 12021. */
export function answerCommand(requestType: string, command: PlistDict, view: DeviceView): Answer {
  const answerer = Object.hasOwn(ANSWERERS, requestType) ? ANSWERERS[requestType] : undefined
  if (answerer !== undefined) return answerer(command, view)
  return failed('MCMDMErrorDomain', 12021, `“${requestType}” is not a valid request type.`)
}

function describeCertificate({ subject, der }: Certificate): PlistDict {
  const commonName = nameAttribute(subject, OID.commonName) ?? ''
  return { CommonName: commonName, Data: Uint8Array.from(der), IsIdentity: true }
}

function describeProfile({ configuration, managed }: DeviceView['profiles'][number]): PlistDict {
  const { identifier, uuid, displayName, organization, removalDisallowed, payloads } = configuration
  return {
    PayloadIdentifier: identifier,
    PayloadUUID: uuid,
    PayloadDisplayName: displayName,
    ...(organization === undefined ? {} : { PayloadOrganization: organization }),
    PayloadRemovalDisallowed: removalDisallowed,
    PayloadVersion: 1,
    HasRemovalPasscode: false,
    IsEncrypted: false,
    IsManaged: managed,
    PayloadContent: payloads.map((payload) => ({
      PayloadType: payload['PayloadType']!,
      PayloadIdentifier: payload['PayloadIdentifier']!,
      PayloadVersion: 1,
    })),
  }
}
