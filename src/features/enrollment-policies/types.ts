/** The panes of Setup Assistant that a policy shows or hides. */
export const PANES = [
  'passcode',
  'location_services',
  'restore',
  'apple_id',
  'terms_and_conditions',
  'touch_id',
  'apple_pay',
  'zoom',
  'siri',
  'diagnostics',
] as const

/** Which computers a device may be connected to. */
export const PAIRINGS = ['disallow', 'allow', 'require_certificate'] as const

/** Where a person signs in: Setup Assistant's own form, or a web page in it. */
export const SIGN_INS = ['native', 'web'] as const

/** Whether a device belongs to a person, who signs in. */
export const USER_AFFINITIES = ['none', 'prompt'] as const

/** What a policy says of automated enrollment; every field is there. */
export interface AdeSettings {
  /** Without it, nothing is defined at Apple. */
  enabled: boolean
  department: string | null
  support_phone_number: string | null
  support_email_address: string | null
  supervised: boolean
  locked: boolean
  pairing: (typeof PAIRINGS)[number]
  /** PEM, one certificate each. */
  pairing_certificates: string[]
  /** Whether each pane is shown. */
  setup_assistant: Record<(typeof PANES)[number], boolean>
  /** Apple's skip keys besides those of the panes. */
  additional_skip_keys: string[]
  minimum_os_version: string | null
  await_device_configured: boolean
  /** null = the default; `configurationDeadlineMinutes` gives the number. */
  configuration_deadline_minutes: number | null
  sign_in: (typeof SIGN_INS)[number]
}

/** What an administrator writes of a policy, checked and complete. */
export interface PolicyFields {
  name: string
  description: string
  user_affinity: (typeof USER_AFFINITIES)[number]
  /** null = local accounts. */
  sign_in_source_id: string | null
  /** A static group that devices of this policy join besides the policy's own. */
  group_id: string | null
  ade: AdeSettings
}

/** An enrollment policy. */
export interface Policy extends PolicyFields {
  id: string
  version: number
  created_at: Date
  updated_at: Date
}

/** Something wrong with a policy: `path` is dotted (`ade.locked`). */
export type Problem = { path: string; message: string }
