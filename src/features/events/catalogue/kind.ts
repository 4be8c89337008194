import { type TObject, type TProperties, type TSchema, Type } from 'typebox'
import { text } from '../../../kernel/schema.ts'

/** What is known of all events of one type. */
export interface Kind<D extends TSchema = TSchema> {
  /** `warn`: administrators should look at it. */
  readonly level: 'info' | 'warn'
  /** What happened, for whoever reads the log. */
  readonly sentence: string
  /** What `data` holds, and nothing else. */
  readonly data: D
  /** The member of `data` that counts the devices that one event stands for, where that may be many. */
  readonly devices?: string
}

/** A part of the catalogue. */
export type Kinds = Readonly<Record<string, Kind>>

/** An object with these members alone. */
function only<P extends TProperties>(members: P): TObject<P> {
  return Type.Object(members, { additionalProperties: false })
}

/** A type of event that administrators are told of. */
export function info<P extends TProperties>(
  sentence: string,
  members: P,
  devices?: keyof P & string,
): Kind<TObject<P>> {
  return { level: 'info', sentence, data: only(members), ...(devices !== undefined && { devices }) }
}

/** A type of event that administrators are warned of. */
export function warn<P extends TProperties>(
  sentence: string,
  members: P,
  devices?: keyof P & string,
): Kind<TObject<P>> {
  return { ...info(sentence, members, devices), level: 'warn' }
}

export function number(description: string) {
  return Type.Integer({ minimum: 0, description })
}

export function flag(description: string) {
  return Type.Boolean({ description })
}

export function texts(description: string) {
  return Type.Array(Type.String(), { description })
}

/** By what way a device tries to get in. */
export const way = Type.Enum(['ade', 'ade_web', 'link', 'page'], {
  description: 'By what way the device comes: Setup Assistant (its form or web view), a link or the page.',
})

/** What was changed, each by its name with its value before and after. */
export function changes(description: string) {
  return Type.Record(
    Type.String(),
    Type.Object({
      before: Type.Unknown({ description: 'Its value before.' }),
      after: Type.Unknown({ description: 'Its value now.' }),
    }),
    { description },
  )
}

/** What was changed of a thing. */
export const changed = texts('The fields that were changed.')

export const commandUuid = text('The CommandUUID.')
