import { OID } from '../../../protocol/asn1/index.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import { nameAttribute, parseCertificate, type Certificate } from '../../../protocol/x509/index.ts'
import { payloadsOf, presentProfiles } from '../profiles/installed.ts'
import { certificatesIn } from '../profiles/payload-rules.ts'
import { restrictionsOf } from '../profiles/restrictions.ts'
import { acknowledged, malformed, refused, type Answer } from './answers.ts'
import { queryResponses } from './device-information.ts'
import { isMac, type DeviceSelf } from './self.ts'

/** Commands that ask for something. */
export const QUERY_COMMANDS: Readonly<Record<string, (command: PlistDict, self: DeviceSelf) => Answer>> = {
  DeviceInformation: (command, self) => {
    const queries = command['Queries']
    if (!Array.isArray(queries)) return malformed
    const texts = queries.filter((query) => typeof query === 'string')
    return acknowledged({ QueryResponses: queryResponses(texts, self) })
  },
  SecurityInfo: (_, self) => acknowledged({ SecurityInfo: securityInfo(self) }),
  Restrictions: (command, self) => restrictions(command['ProfileRestrictions'] === true, self),
  CertificateList: (_, self) => acknowledged({ CertificateList: certificates(self) }),
  ProvisioningProfileList: () => acknowledged({ ProvisioningProfileList: [] }),
  AvailableOSUpdates: () => acknowledged({ AvailableOSUpdates: [] }),
  OSUpdateStatus: () => acknowledged({ OSUpdateStatus: [] }),
  ScheduleOSUpdate: (command) =>
    Array.isArray(command['Updates']) ? refused(12048, 'No update is available.') : malformed,
  ScheduleOSUpdateScan: () => acknowledged({ ScanInitiated: true }),
  ActivationLockBypassCode: (_, { condition, bypassCode, now }) =>
    now.getTime() < condition.bypassCodeUntil
      ? acknowledged({ ActivationLockBypassCode: bypassCode })
      : refused(12005, 'The bypass code is not available any more.'),
}

function payloadsOfAll({ profiles, now }: DeviceSelf): PlistDict[] {
  return presentProfiles(profiles, now).flatMap(payloadsOf)
}

function securityInfo(self: DeviceSelf): PlistDict {
  const { condition, isPersonal, viaAde } = self
  if (isMac(self)) {
    return {
      FDE_Enabled: false,
      SystemIntegrityProtectionEnabled: true,
      FirewallSettings: { FirewallEnabled: false, BlockAllIncoming: false, StealthMode: false },
      ManagementStatus: {
        EnrolledViaDEP: viaAde,
        IsUserEnrollment: isPersonal,
        UserApprovedEnrollment: true,
      },
    }
  }
  const isAsked = payloadsOfAll(self).some((payload) => {
    return payload['PayloadType'] === 'com.apple.mobiledevice.passwordpolicy' && payload['forcePIN'] === true
  })
  const passcode = {
    PasscodePresent: condition.passcode,
    PasscodeCompliant: condition.passcode || !isAsked,
    PasscodeCompliantWithProfiles: condition.passcode || !isAsked,
  }
  if (isPersonal) return { ...passcode, ManagementStatus: { IsUserEnrollment: true } }
  return {
    HardwareEncryptionCaps: 3,
    ...passcode,
    PasscodeLockGracePeriodEnforced: 0,
    ManagementStatus: { EnrolledViaDEP: viaAde, IsUserEnrollment: false, UserApprovedEnrollment: true },
  }
}

function restrictions(byProfile: boolean, self: DeviceSelf): Answer {
  const present = presentProfiles(self.profiles, self.now)
  const all = { GlobalRestrictions: restrictionsOf(present.flatMap(payloadsOf)) }
  if (!byProfile) return acknowledged(all)
  const each = present.flatMap((profile) => {
    const own = restrictionsOf(payloadsOf(profile))
    return Object.keys(own).length === 0 ? [] : [[profile.stored.identifier, own] as const]
  })
  return acknowledged({ ...all, ProfileRestrictions: Object.fromEntries(each) })
}

function certificates(self: DeviceSelf): PlistDict[] {
  const { certificate } = self
  const identity = certificate === undefined ? [] : [describe(certificate, true)]
  const others = certificatesIn(payloadsOfAll(self)).map((der) => describe(parseCertificate(der), false))
  return [...identity, ...others]
}

function describe({ subject, der }: Certificate, isIdentity: boolean): PlistDict {
  const commonName = nameAttribute(subject, OID.commonName) ?? ''
  return { CommonName: commonName, Data: Uint8Array.from(der), IsIdentity: isIdentity }
}
