import { type Static, Type } from 'typebox'
import { text, textOrNull, time } from '../../../kernel/schema.ts'
import { commandUuid, flag, info, number, texts, warn, way, type Kinds } from './kind.ts'

const { Optional } = Type

/** What else is known of a refusal, by its reason. */
const detail = {
  problem: Optional(text('What is wrong, in words.')),
  policy: Optional(text('The name of the enrollment policy by whose address the device came.')),
  policy_id: Optional(text('The enrollment policy.')),
  assigned_policy_id: Optional(textOrNull('The policy that the serial number has; null: none.')),
  blocked_at: Optional(time('Since when the serial number is blocked.')),
  os_version: Optional(textOrNull('The OS version of the device; null: it does not say.')),
  minimum_os_version: Optional(text('The OS version that the policy asks for.')),
  can_update: Optional(flag('Whether the device can bring itself to that version.')),
  count: Optional(number('How many devices the person has.')),
  limit: Optional(number('How many devices the person may have.')),
  topic: Optional(text('The topic that the device names.')),
  expected: Optional(textOrNull('The topic with which it began.')),
  serial_number: Optional(textOrNull('The serial number that the device gives, or that is blocked.')),
  expected_serial_number: Optional(textOrNull('The serial number that the attempt is for.')),
  enrollment_id: Optional(text('The enrollment whose place is taken.')),
  enrolled_by: Optional(Type.Union([way, Type.Null()], { description: 'The way by which that one came.' })),
  link_id: Optional(text('The enrollment link.')),
}
const detailOfRefusal = Type.Object(detail)

/** What else is known of a refusal, by its reason. */
export type RefusalDetail = Static<typeof detailOfRefusal>

const request = {
  transaction_id: text("The SCEP client's id of the request."),
  message: text('What is wrong with the request.'),
  detail: Optional(
    text('`renewal_too_early`: it came before the last third of the life of the certificate.'),
  ),
}
const aboutRequest = Type.Object(request)

/** What is known of a refused certificate request. */
export type RefusedRequest = Static<typeof aboutRequest>

/** Of somebody who was refused before anything was proved. */
const stranger = {
  way: Optional(way),
  network: Optional(text('The network of the address from where the request came.')),
  link_id: Optional(text('The enrollment link.')),
  policy_id: Optional(text('The enrollment policy.')),
}

/** Of all those of one network and hour, refused for the same reason. */
const strangers = Type.Object(
  {
    network: text('The network from where they came.'),
    count: number('How many there were since the event before.'),
    since: time('When the first of them came.'),
    ways: Optional(texts('The ways by which they came.')),
    serial_numbers: Optional(texts('The serial numbers that they gave, or the first of many.')),
    user_names: Optional(texts('The user names that they gave, or the first of many.')),
    link_ids: Optional(texts('The enrollment links that they used, or the first of many.')),
    policy_ids: Optional(texts('The enrollment policies that they named, or the first of many.')),
  },
  { additionalProperties: false, description: 'Of strangers of one network.' },
)

const refused = Type.Union([
  Type.Object(
    { way, step: text('The step that was refused.'), ...detail },
    { additionalProperties: false, description: 'Of an attempt.' },
  ),
  strangers,
  Type.Object(
    { ...stranger, ...detail },
    {
      additionalProperties: false,
      description: 'Of one stranger; such an event is logged and counted only.',
    },
  ),
])

const claim = {
  user_name: textOrNull('The person.'),
  way: Type.Union([way, Type.Null()], { description: 'The way by which the device came.' }),
  attempt_id: textOrNull('The enrollment attempt.'),
}

/** Devices on their way in, and their certificates. */
export const ENROLLMENT = {
  'certificate.issued': info('A device got its certificate', {
    certificate_serial_number: text('The serial number of the certificate, hex.'),
    not_after: time('When it expires.'),
    transaction_id: request.transaction_id,
    renewal: flag('Whether it takes the place of one of an enrollment.'),
  }),
  'certificate.refused': {
    level: 'warn',
    sentence: 'A device was refused a certificate',
    data: Type.Union([
      Type.Object(
        { ...request, ...stranger },
        { additionalProperties: false, description: 'Of one request.' },
      ),
      strangers,
    ]),
  },
  'enrollment.abandoned': warn('An enrollment went nowhere', {
    way,
    missing: Optional(text('The step that did not come.')),
    newer_attempt_id: Optional(text('The attempt that the device began instead.')),
  }),
  'enrollment.certificate_adopted': info(
    'A device that moved in from another server has come with its certificate, and keeps that',
    {
      certificate: text('SHA-256 of the certificate, hex.'),
      replaces: flag(
        'Whether it takes the place of one that the enrollment had here, by the word of an operator.',
      ),
    },
  ),
  'enrollment.contested': info(
    'A device whose place another one has taken still comes: it may be the honest one',
    {
      certificate: text('SHA-256 of the certificate with which it came, hex.'),
      attempt_id: textOrNull('The attempt by which the other one got in.'),
    },
  ),
  'enrollment.re_enrollment_allowed': info('An operator allowed a device to enroll anew', {
    allowed_until: time('Until when.'),
  }),
  'enrollment.rejected': { level: 'warn', sentence: 'An enrollment was refused', data: refused },
  'enrollment.revoked': info('An enrollment was taken back', {
    way,
    policy_set_at: time('When the serial number got the enrollment policy that ends it.'),
    command_uuid: commandUuid,
  }),
  'enrollment.sign_in_refused': {
    level: 'info',
    sentence: 'A sign-in during an enrollment was refused',
    data: refused,
  },
  'enrollment.started': info('An enrollment has begun', { way }),
  'enrollment.takeover_refused': info(
    'Somebody wanted the place of a device that is enrolled, and may not have it',
    {
      owner: Type.Object(claim, { description: 'Whose place it is.' }),
      claimant: Type.Object(claim, { description: 'Who wanted it.' }),
    },
  ),
  'machine_info.replayed': warn('a device at power-on said the same as before the enrollment that is alive', {
    way,
  }),
} as const satisfies Kinds
