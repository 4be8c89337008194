import { sha256 } from '../../kernel/ids.ts'
import { ADE, type Policy } from './schema.ts'
import type { ProfilePart } from './field-schema.ts'

/** The ADE profile that Apple gives to devices, without `devices`. */
type AdeProfileJson = ProfilePart & {
  profile_name: string
  url: string
  configuration_web_url?: string
  org_magic: string
  is_mandatory: true
  /** Base64 of the DER. */
  anchor_certs?: string[]
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

/**
 * A policy as Apple's ADE profile, with the SHA-256 of its canonical JSON: the same policy in the same place always has
 * the same hash, and another one when anything that Apple would see is different. Whether it is to be defined at Apple
 * at all is said by `policy.ade.enabled`.
 */
export function renderAdeProfile(
  policy: Pick<Policy, 'ade' | 'name' | 'user_affinity'>,
  context: RenderContext,
): { profile: AdeProfileJson; hash: Buffer } {
  const usesWeb = policy.user_affinity === 'prompt' && policy.ade.sign_in === 'web'
  const profile: AdeProfileJson = {
    profile_name: policy.name,
    url: context.url,
    ...(usesWeb && { configuration_web_url: context.webUrl }),
    org_magic: context.orgMagic,
    is_mandatory: true,
    ...canonicalLists(ADE.profile(policy.ade)),
    ...(context.anchorCerts?.length && {
      anchor_certs: context.anchorCerts.map((der) => Buffer.from(der).toString('base64')),
    }),
  }
  return { profile, hash: sha256(canonical(profile)) }
}

/** In one order, and nothing twice. */
function canonicalLists(part: ProfilePart): ProfilePart {
  return Object.fromEntries(
    Object.entries(part).map(([name, value]) => [
      name,
      Array.isArray(value) ? [...new Set(value)].toSorted() : value,
    ]),
  )
}

/** JSON whose members stand in the order of their names. */
function canonical(profile: AdeProfileJson): string {
  const entries = Object.entries(profile).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify(Object.fromEntries(entries))
}
