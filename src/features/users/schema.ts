import { Type } from 'typebox'
import { EMAIL_PATTERN, MAX_DISPLAY_NAME, MAX_EMAIL, MAX_USER_NAME, USER_NAME_PATTERN } from './names.ts'

const nullable = <T extends Parameters<typeof Type.Optional>[0]>(schema: T) =>
  Type.Union([schema, Type.Null()])
const time = Type.String({ format: 'date-time' })

const userName = Type.String({
  minLength: 1,
  maxLength: MAX_USER_NAME,
  pattern: USER_NAME_PATTERN,
  description: 'Compared in NFC and case-folded.',
})
const displayName = Type.String({ maxLength: MAX_DISPLAY_NAME })
const email = nullable(Type.String({ maxLength: MAX_EMAIL, pattern: EMAIL_PATTERN }))
const password = nullable(Type.String({ minLength: 1, maxLength: 1024, description: 'Never told again.' }))
const deviceLimit = nullable(
  Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'null = the default limit.' }),
)
const expiry = nullable(time)

/** A user as the API tells it. */
export const userSchema = Type.Object({
  id: Type.String(),
  user_name: userName,
  display_name: displayName,
  email: nullable(Type.String()),
  device_limit: deviceLimit,
  enrollment_manager: Type.Boolean(),
  disabled: Type.Boolean(),
  must_change_password: Type.Boolean(),
  password_expires_at: expiry,
  created_at: time,
  updated_at: time,
})

/** What makes a user: only the name is needed. */
export const newUserSchema = Type.Object({
  user_name: userName,
  display_name: Type.Optional(displayName),
  email: Type.Optional(email),
  password: Type.Optional(password),
  device_limit: Type.Optional(deviceLimit),
  enrollment_manager: Type.Optional(Type.Boolean()),
  disabled: Type.Optional(Type.Boolean()),
  must_change_password: Type.Optional(Type.Boolean()),
  password_expires_at: Type.Optional(expiry),
})

/** A merge patch of a user (RFC 7396): null takes a value away, so that its default holds. */
export const userPatchSchema = Type.Object({
  user_name: Type.Optional(userName),
  display_name: Type.Optional(nullable(displayName)),
  email: Type.Optional(email),
  password: Type.Optional(password),
  device_limit: Type.Optional(deviceLimit),
  enrollment_manager: Type.Optional(nullable(Type.Boolean())),
  disabled: Type.Optional(nullable(Type.Boolean())),
  must_change_password: Type.Optional(nullable(Type.Boolean())),
  password_expires_at: Type.Optional(expiry),
})
