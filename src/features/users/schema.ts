import { Type } from 'typebox'
import { LINE_PATTERN, NAME_PATTERN } from '../../kernel/names.ts'
import { dates, orNull, text, TEXT_PATTERN, textOrNull, timeOrNull } from '../../kernel/schema.ts'
import { EMAIL_PATTERN, MAX_DISPLAY_NAME, MAX_EMAIL, MAX_SUBJECT, MAX_USER_NAME } from './names.ts'

const userName = Type.String({
  minLength: 1,
  maxLength: MAX_USER_NAME,
  pattern: NAME_PATTERN,
  description: 'What the person signs in with; compared in NFC and case-folded.',
})
const displayName = Type.String({
  maxLength: MAX_DISPLAY_NAME,
  pattern: LINE_PATTERN,
  description: 'What the person is called. Default empty.',
})
const email = orNull(
  Type.String({ maxLength: MAX_EMAIL, pattern: EMAIL_PATTERN }),
  'Where the person gets mail.',
)
const password = orNull(
  Type.String({ minLength: 1, maxLength: 1024, pattern: TEXT_PATTERN }),
  'Kept as a hash and never told again; null = none, so that only a sign-in source proves who this is.',
)
const deviceLimit = orNull(
  Type.Integer({ minimum: 0, maximum: 1_000_000 }),
  'How many devices the person may have enrolled; null = the default limit of the settings.',
)
const manager = Type.Boolean({
  description:
    'An enrollment manager enrols devices for others, and may not be used with ADE. Default false.',
})
const disabled = Type.Boolean({ description: 'Refuses every sign-in. Default false.' })
const mustChange = Type.Boolean({
  description: 'Refuses to enrol until the password was changed. Default false.',
})
const expiry = timeOrNull('When the local password counts as expired; null = never.')

const signIn = orNull(
  Type.Object({
    source_id: Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'The directory or OpenID provider.',
    }),
    subject: Type.String({
      minLength: 1,
      maxLength: MAX_SUBJECT,
      pattern: LINE_PATTERN,
      description:
        'The name that the source itself has for the person: of an OpenID provider the sub, of a directory the ImmutableID, else the name identifier, else the UPN.',
    }),
  }),
  'Whom of a sign-in source this is; null = nobody yet. The first sign-in of that name sets it, where the user has neither a password nor another link.',
)

const fields = {
  display_name: displayName,
  email,
  password,
  device_limit: deviceLimit,
  enrollment_manager: manager,
  disabled,
  must_change_password: mustChange,
  password_expires_at: expiry,
  sign_in: signIn,
}
const { password: _password, ...told } = fields
const optional = Type.Partial(Type.Object(fields)).properties

/** A user as the API tells it. */
export const userSchema = Type.Object(
  {
    id: text('The id of the user.'),
    user_name: userName,
    ...told,
    email: textOrNull('Where the person gets mail.'),
    ...dates,
  },
  { title: 'User', description: 'A person who enrols devices.' },
)

/** What makes a user: only the name is needed. */
export const newUserSchema = Type.Object(
  { user_name: userName, ...optional },
  { title: 'NewUser', description: 'What makes a user.' },
)

/** A merge patch of a user (RFC 7396): null takes a value away, so that its default holds. */
export const userPatchSchema = Type.Object(
  {
    user_name: Type.Optional(userName),
    ...optional,
    display_name: Type.Optional(orNull(displayName)),
    enrollment_manager: Type.Optional(orNull(manager)),
    disabled: Type.Optional(orNull(disabled)),
    must_change_password: Type.Optional(orNull(mustChange)),
  },
  { title: 'UserPatch', description: 'What is to change; null gives the default.' },
)
