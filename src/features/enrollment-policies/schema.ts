import { type Static, type TString } from 'typebox'
import { parseCertificate } from '../../protocol/x509/index.ts'
import {
  certificate,
  flag,
  integer,
  list,
  oneOf,
  orNull,
  text,
  type Kind,
  word,
  WORD_LENGTH,
} from './kinds-schema.ts'
import { type Field, field, object } from './field-schema.ts'
import { PANES } from './panes-schema.ts'

/** How long a device waits in Setup Assistant at most, where its policy does not say. */
const DEADLINE_MINUTES = 15
/** The most that a policy may say. */
const LONGEST_DEADLINE_MINUTES = 1440
const MAX_CERTIFICATES = 10
const EMAIL = /^[^\s@]+@[^\s@]+$/
const OS_VERSION = /^\d{1,3}(\.\d{1,3}){0,3}$/

/** What a policy says of automated enrollment. Limits are Apple's, or ours where Apple has none. */
const FIELDS_OF_ADE = {
  enabled: field(flag('false: nothing is defined at Apple. Default false.'), false),
  department: shown(
    'department',
    text({ maxLength: 125 }),
    'Who looks after the device, shown in Setup Assistant.',
  ),
  support_phone_number: shown(
    'support_phone_number',
    text({ maxLength: 50 }),
    'Whom to call, shown in Setup Assistant.',
  ),
  support_email_address: shown(
    'support_email_address',
    text({ maxLength: 250 }, { pattern: EMAIL, form: 'an email address' }),
    'Whom to write to.',
  ),
  supervised: field(flag('Fixed until the device is erased. Default true.'), true, {
    isFixedUntilErase: true,
    profile: (supervised) => ({ is_supervised: supervised }),
  }),
  locked: field(
    flag(
      'The enrollment profile cannot be removed on the device; needs supervised. Fixed until it is erased. Default false.',
    ),
    false,
    {
      isFixedUntilErase: true,
      beside: needsSupervised(true),
      profile: (locked) => ({ is_mdm_removable: !locked }),
    },
  ),
  pairing: field(
    oneOf(
      ['disallow', 'allow', 'require_certificate'],
      'Whether the device may be connected to computers. Default allow.',
    ),
    'allow',
    {
      beside: needsSupervised('require_certificate'),
      profile: (pairing) => ({ allow_pairing: pairing === 'allow' }),
    },
  ),
  pairing_certificates: field(list(MAX_CERTIFICATES, certificate, 'PEM; for require_certificate.'), [], {
    beside(certificates, { pairing }) {
      if (!Array.isArray(certificates)) return undefined
      if (pairing === 'require_certificate' && certificates.length === 0)
        return `must have 1 to ${MAX_CERTIFICATES} certificates, because ade.pairing is require_certificate`
      const isNeedless = (pairing === 'allow' || pairing === 'disallow') && certificates.length > 0
      return isNeedless ? 'must be empty unless ade.pairing is require_certificate' : undefined
    },
    profile(pems, { pairing }) {
      if (pairing === 'allow') return {}
      const wanted = pairing === 'require_certificate' ? pems : []
      return { supervising_host_certs: wanted.map((pem) => parseCertificate(pem).der.toString('base64')) }
    },
  }),
  setup_assistant: object(PANES, { description: 'Which panes are shown. Default: all.' }),
  additional_skip_keys: field(
    list(
      100,
      word({ minLength: 1, maxLength: WORD_LENGTH }),
      "Apple's skip keys besides those of hidden panes.",
    ),
    [],
    { profile: (keys) => ({ skip_setup_items: keys }) },
  ),
  minimum_os_version: field(
    orNull(
      text({}, { max: 15, pattern: OS_VERSION, form: 'a version such as 17.5.1' }),
      'The least system that enrolls, such as 17.5.1; null = any. One that can is told to update.',
    ),
    null,
  ),
  await_device_configured: field(
    flag(
      'Hold the device in Setup Assistant until its first commands are done; needs supervised. Default false.',
    ),
    false,
    {
      beside: needsSupervised(true),
      profile: (awaits) => ({ await_device_configured: awaits }),
    },
  ),
  configuration_deadline_minutes: field(
    orNull(integer(1, LONGEST_DEADLINE_MINUTES, `How long at most; null = ${DEADLINE_MINUTES}.`)),
    null,
  ),
  sign_in: field(
    oneOf(['native', 'web'], "Setup Assistant's own form, or a web page. Default native."),
    'native',
  ),
}

/** What the part about automated enrollment is. */
export const ADE_DESCRIPTION = 'What concerns Automated Device Enrollment.'

/** The part of a policy about automated enrollment. */
export const ADE = object(FIELDS_OF_ADE, {
  title: 'AdePolicy',
  description: ADE_DESCRIPTION,
})

/** Everything that an administrator may write of a policy. */
export const POLICY = object({
  name: field(text({ minLength: 1, maxLength: 125, description: 'One of its kind.' })),
  description: field(
    text({ maxLength: 2000, description: 'What it is for. Default empty.' }, { lines: true }),
    '',
  ),
  user_affinity: field(
    oneOf(['none', 'prompt'], 'Whether a person signs in and the device is theirs. Default none.'),
    'none',
  ),
  sign_in_source_id: field(
    orNull(word(), 'The sign-in source where people prove who they are; null = local accounts.'),
    null,
  ),
  group_id: field(orNull(word(), 'A static group that the devices join too.'), null),
  device_name_template: field(
    orNull(
      text({ maxLength: 255 }),
      'What its supervised devices are called, with variables such as {{device.serial_number}}; at most 63 bytes when they are filled in.',
    ),
    null,
  ),
  ade: ADE,
})

/** Fields that a device takes when it is set up, and keeps, by their dotted names. */
export const FIXED_UNTIL_ERASE = Object.entries<Field>(FIELDS_OF_ADE)
  .filter(([, { isFixedUntilErase }]) => isFixedUntilErase)
  .map(([name]) => `ade.${name}`)

/** What a policy says of automated enrollment; every field is there. */
export type AdeSettings = Static<typeof ADE.schema>

/** What an administrator writes of a policy, checked and complete. */
export type PolicyFields = Static<typeof POLICY.schema>

/** An enrollment policy. */
export interface Policy extends PolicyFields {
  id: string
  version: number
  created_at: Date
  updated_at: Date
}

/** After how many minutes in Setup Assistant a device of this policy is released whatever it still waits for. */
export function configurationDeadlineMinutes(policy: {
  ade: Pick<AdeSettings, 'configuration_deadline_minutes'>
}): number {
  return policy.ade.configuration_deadline_minutes ?? DEADLINE_MINUTES
}

function shown(
  name: 'department' | 'support_email_address' | 'support_phone_number',
  kind: Kind<TString>,
  description: string,
) {
  return field(orNull(kind, description), null, {
    profile: (value) => (value === null ? {} : { [name]: value }),
  })
}

function needsSupervised(wanted: true | string): NonNullable<Field['beside']> {
  const what = wanted === true ? '' : `${wanted} `
  return (value, { supervised }) =>
    value === wanted && supervised === false ? `${what}needs ade.supervised` : undefined
}
