import { randomUUID } from 'node:crypto'
import { writePlist, type WritablePlist } from '../plist/index.ts'

/** Every right there is: Apple's bits 1 to 4096 without 0. */
const ALL_ACCESS_RIGHTS = 8191

/** Uses of the identity's key: signing (1) and encryption (4). */
const SIGNING_AND_ENCRYPTION = 5

/** The settings of `com.apple.security.scep`. */
interface ScepSettings {
  url: string
  challenge: string
  /** RDNs, each of [type, value] pairs: `[[['O', 'Acme']], [['CN', 'abc']]]`; types C, L, ST, O, OU, CN or an OID. */
  subject: readonly (readonly (readonly [type: string, value: string])[])[]
  /** Sent as `message` in GetCACert and GetCACaps. */
  name?: string
  keySize?: 2048 | 4096
  /** SHA-256 of the CA certificate. */
  caFingerprint?: Uint8Array
  /** Times the device asks again while the certificate is pending, and the seconds between. */
  retries?: number
  retryDelay?: number
  payloadUuid?: string
}

/** The settings of `com.apple.mdm`. The topic and both URLs may never change for a device that has the profile. */
interface MdmSettings {
  /** `com.apple.mgmt.*`, the UID in the subject of the push certificate. */
  topic: string
  serverUrl: string
  checkInUrl: string
  serverCapabilities: readonly string[]
  /** Bits of the rights; all unless given. An update of the profile may take rights away but add none. */
  accessRights?: number
  payloadUuid?: string
}

/** A certificate to be trusted before the others are installed, DER. */
interface RootCertificate {
  der: Uint8Array
  fileName: string
  payloadUuid?: string
}

/** What an enrollment profile is made of. */
export interface EnrollmentProfile {
  /** Reverse DNS and the same for ever: it decides whether an installed profile is replaced. */
  identifier: string
  displayName: string
  organization: string
  description?: string
  removalDisallowed?: boolean
  /** UUIDs of payloads are random unless given. */
  payloadUuid?: string
  rootCertificates?: readonly RootCertificate[]
  scep: ScepSettings
  mdm: MdmSettings
}

/**
 * Writes an enrollment profile, not signed: the trusted roots, the identity by SCEP, and the MDM payload that names
 * it. The device signs its messages and tells when the profile is removed. There is no PayloadScope: with `System` a Mac
 * that enrols by hand never opens a user channel. Sources: Apple's `TopLevel.yaml`, `com.apple.mdm.yaml`,
 * `com.apple.security.scep.yaml`, `com.apple.security.root.yaml`.
 *
 * Throws `plist_invalid`, with the path, for text that XML cannot hold.
 */
export function buildEnrollmentProfile(profile: EnrollmentProfile): Buffer<ArrayBuffer> {
  const { identifier, organization, rootCertificates = [] } = profile
  const identityUuid = profile.scep.payloadUuid ?? randomUUID().toUpperCase()
  const plist = {
    PayloadContent: [
      ...rootCertificates.map((root, i) => rootPayload(root, `${identifier}.root.${i + 1}`)),
      scepPayload(profile.scep, `${identifier}.scep`, identityUuid),
      mdmPayload(profile.mdm, `${identifier}.mdm`, identityUuid),
    ],
    ...header('Configuration', identifier, profile.payloadUuid, profile.displayName),
    PayloadOrganization: organization,
    PayloadDescription: profile.description,
    PayloadRemovalDisallowed: profile.removalDisallowed ?? false,
  }
  return Buffer.from(writePlist(plist))
}

function header(type: string, identifier: string, uuid: string | undefined, displayName: string) {
  return {
    PayloadType: type,
    PayloadVersion: 1,
    PayloadIdentifier: identifier,
    PayloadUUID: uuid ?? randomUUID().toUpperCase(),
    PayloadDisplayName: displayName,
  }
}

function rootPayload(root: RootCertificate, identifier: string): WritablePlist {
  return {
    ...header('com.apple.security.root', identifier, root.payloadUuid, 'Trusted certificate'),
    PayloadCertificateFileName: root.fileName,
    PayloadContent: root.der,
  }
}

function scepPayload(scep: ScepSettings, identifier: string, uuid: string): WritablePlist {
  return {
    ...header('com.apple.security.scep', identifier, uuid, 'Device identity'),
    PayloadContent: {
      URL: scep.url,
      Name: scep.name,
      Challenge: scep.challenge,
      Subject: scep.subject,
      Keysize: scep.keySize ?? 2048,
      'Key Type': 'RSA',
      'Key Usage': SIGNING_AND_ENCRYPTION,
      CAFingerprint: scep.caFingerprint,
      Retries: scep.retries,
      RetryDelay: scep.retryDelay,
      KeyIsExtractable: false,
    },
  }
}

function mdmPayload(mdm: MdmSettings, identifier: string, identityUuid: string): WritablePlist {
  return {
    ...header('com.apple.mdm', identifier, mdm.payloadUuid, 'Device management'),
    IdentityCertificateUUID: identityUuid,
    Topic: mdm.topic,
    ServerURL: mdm.serverUrl,
    CheckInURL: mdm.checkInUrl,
    AccessRights: mdm.accessRights ?? ALL_ACCESS_RIGHTS,
    CheckOutWhenRemoved: true,
    SignMessage: true,
    ServerCapabilities: mdm.serverCapabilities,
  }
}
