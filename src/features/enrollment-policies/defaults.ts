import { isRecord } from './merge-patch.ts'
import type { AdeSettings, PolicyFields } from './types.ts'

/** How long a device waits in Setup Assistant at most, where its policy does not say. */
const DEADLINE_MINUTES = 15

const ADE = {
  enabled: false,
  department: null,
  support_phone_number: null,
  support_email_address: null,
  supervised: true,
  locked: false,
  pairing: 'allow',
  pairing_certificates: [],
  setup_assistant: {
    passcode: true,
    location_services: true,
    restore: true,
    apple_id: true,
    terms_and_conditions: true,
    touch_id: true,
    apple_pay: true,
    zoom: true,
    siri: true,
    diagnostics: true,
  },
  additional_skip_keys: [],
  minimum_os_version: null,
  await_device_configured: false,
  configuration_deadline_minutes: null,
  sign_in: 'native',
} satisfies AdeSettings

/** What a policy is where its administrator did not say; only the name has no default. */
const DEFAULTS = {
  description: '',
  user_affinity: 'none',
  sign_in_source_id: null,
  group_id: null,
  ade: ADE,
} satisfies Omit<PolicyFields, 'name'>

/** The document with a default for every field that it leaves out, at each level; what it says stays as it is. */
export function withDefaults(document: unknown): unknown {
  return fill(document, DEFAULTS)
}

/** The same for the part about automated enrollment, as it was stored. */
export function adeWithDefaults(stored: unknown): AdeSettings {
  return fill(stored, ADE) as AdeSettings
}

/** After how many minutes in Setup Assistant a device of this policy is released whatever it still waits for. */
export function configurationDeadlineMinutes(policy: {
  ade: Pick<AdeSettings, 'configuration_deadline_minutes'>
}): number {
  return policy.ade.configuration_deadline_minutes ?? DEADLINE_MINUTES
}

/** In the order of the defaults, which is that of the documentation; the database keeps none. */
function fill(given: unknown, defaults: Record<string, unknown>): unknown {
  if (!isRecord(given)) return given
  const known = Object.entries(defaults).map(([name, value]) => {
    if (!Object.hasOwn(given, name)) return [name, structuredClone(value)]
    return [name, isRecord(value) ? fill(given[name], value) : given[name]]
  })
  const others = Object.entries(given).filter(([name]) => !Object.hasOwn(defaults, name))
  return Object.fromEntries([...known, ...others])
}
