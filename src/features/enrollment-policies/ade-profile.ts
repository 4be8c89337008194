import { sha256 } from '../../kernel/ids.ts'
import { parseCertificate } from '../../protocol/x509/index.ts'
import { PANES, type AdeSettings, type Policy } from './types.ts'

/** The ADE profile that Apple gives to devices: `POST /profile` of Apple's cloud service API, without `devices`. */
type AdeProfileJson = {
  profile_name: string
  url: string
  configuration_web_url?: string
  org_magic: string
  is_mandatory: true
  is_supervised: boolean
  is_mdm_removable: boolean
  allow_pairing: boolean
  /** Base64 of the DER. */
  supervising_host_certs?: string[]
  /** Base64 of the DER. */
  anchor_certs?: string[]
  await_device_configured: boolean
  department?: string
  support_phone_number?: string
  support_email_address?: string
  skip_setup_items: string[]
}

/** Where devices of a policy enrol, and what says whose they are. */
interface RenderContext {
  /** Where the device asks for its enrollment profile. */
  url: string
  /** The page on which a person signs in, for policies that want one. */
  webUrl: string
  orgMagic: string
  /** DER of the certificates by which a device trusts `url`, where the public roots do not do. */
  anchorCerts?: readonly Uint8Array[]
}

/** A hidden `restore` hides all of its ways: from a backup, from Android, from another device. */
const SKIP_KEYS = {
  passcode: ['Passcode'],
  location_services: ['Location'],
  restore: ['Restore', 'Android', 'DeviceToDeviceMigration'],
  apple_id: ['AppleID'],
  terms_and_conditions: ['TOS'],
  touch_id: ['Biometric'],
  apple_pay: ['Payment'],
  zoom: ['Zoom'],
  siri: ['Siri'],
  diagnostics: ['Diagnostics'],
} satisfies Record<(typeof PANES)[number], string[]>

/**
 * A policy as Apple's ADE profile, with the SHA-256 of its canonical JSON: the same policy in the same place always has
 * the same hash, and another one when anything that Apple would see is different. Whether it is to be defined at Apple
 * at all is said by `policy.ade.enabled`.
 */
export function renderAdeProfile(
  policy: Pick<Policy, 'ade' | 'name' | 'user_affinity'>,
  context: RenderContext,
): { profile: AdeProfileJson; hash: Buffer } {
  const { ade } = policy
  const usesWeb = policy.user_affinity === 'prompt' && ade.sign_in === 'web'
  const profile: AdeProfileJson = {
    profile_name: policy.name,
    url: context.url,
    ...(usesWeb && { configuration_web_url: context.webUrl }),
    org_magic: context.orgMagic,
    is_mandatory: true,
    is_supervised: ade.supervised,
    is_mdm_removable: !ade.locked,
    ...pairing(ade),
    ...(context.anchorCerts?.length && { anchor_certs: context.anchorCerts.map(base64) }),
    await_device_configured: ade.await_device_configured,
    ...(ade.department !== null && { department: ade.department }),
    ...(ade.support_phone_number !== null && { support_phone_number: ade.support_phone_number }),
    ...(ade.support_email_address !== null && { support_email_address: ade.support_email_address }),
    skip_setup_items: skipKeys(ade),
  }
  return { profile, hash: sha256(canonical(profile)) }
}

function pairing(ade: AdeSettings): Pick<AdeProfileJson, 'allow_pairing' | 'supervising_host_certs'> {
  if (ade.pairing === 'allow') return { allow_pairing: true }
  const certificates = ade.pairing === 'require_certificate' ? ade.pairing_certificates : []
  const texts = certificates.map((pem) => base64(parseCertificate(pem).der))
  return { allow_pairing: false, supervising_host_certs: sortedUnique(texts) }
}

function skipKeys(ade: AdeSettings): string[] {
  const hidden = PANES.filter((pane) => !ade.setup_assistant[pane])
  return sortedUnique([...hidden.flatMap((pane) => SKIP_KEYS[pane]), ...ade.additional_skip_keys])
}

function sortedUnique(texts: readonly string[]): string[] {
  return [...new Set(texts)].toSorted()
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/** JSON whose members stand in the order of their names. */
function canonical(profile: AdeProfileJson): string {
  const entries = Object.entries(profile).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify(Object.fromEntries(entries))
}
