import { type Static, type TObjectOptions, type TSchema, Type } from 'typebox'
import { isRecord } from '../../kernel/records.ts'
import type { Kind, Problem } from './kinds-schema.ts'

/** What fields become in Apple's ADE profile: `POST /profile` of Apple's cloud service API. */
export type ProfilePart = {
  is_supervised?: boolean
  is_mdm_removable?: boolean
  allow_pairing?: boolean
  /** Base64 of the DER. */
  supervising_host_certs?: string[]
  await_device_configured?: boolean
  department?: string
  support_phone_number?: string
  support_email_address?: string
  skip_setup_items?: string[]
}

type Members = Readonly<Record<string, unknown>>

/** A field of a policy. */
export interface Field<T extends TSchema = TSchema> extends Kind<T> {
  /** What it is where the administrator does not say; without it, they must. */
  default?: Static<T>
  /** Its part of the ADE profile; lists that several fields give are one list. */
  profile?(value: Static<T>, neighbours: Members): ProfilePart
  /** What is wrong with it beside its neighbours, any of which may be wrong too. */
  beside?(value: unknown, neighbours: Members): string | undefined
  /** A device takes it when it is set up, and keeps it. */
  isFixedUntilErase?: true
}

/** A field of this kind. */
export function field<T extends TSchema>(
  kind: Kind<T>,
  fallback?: NoInfer<Static<T>>,
  more?: Pick<Field<NoInfer<T>>, 'beside' | 'isFixedUntilErase' | 'profile'>,
): Field<T> {
  return { ...kind, ...(fallback !== undefined && { default: fallback }), ...more }
}

/** Several fields as one, of which none is optional, as defaults are filled in before. */
export function object<F extends Record<string, Field>>(fields: F, options?: TObjectOptions) {
  const all = Object.entries<Field>(fields)
  const each = (of: (field: Field, name: string) => unknown) =>
    Object.fromEntries(all.map(([name, one]) => [name, of(one, name)]))
  return {
    schema: Type.Object(each(({ schema }) => schema) as { [K in keyof F]: F[K]['schema'] }, options),
    default: Object.fromEntries(
      all.flatMap(([name, one]) => (one.default === undefined ? [] : [[name, one.default]])),
    ),
    problems(value: unknown, path: string): Problem[] {
      if (!isRecord(value)) return [{ path, message: 'must be an object' }]
      const inside = (name: string) => (path === '' ? name : `${path}.${name}`)
      const unknown = Object.keys(value).filter((name) => !Object.hasOwn(fields, name))
      return [
        ...all.flatMap(([name, one]) => one.problems(value[name], inside(name))),
        ...unknown.map((name) => ({ path: inside(name), message: 'is not known here' })),
        ...all.flatMap(([name, one]) => {
          const message = one.beside?.(value[name], value)
          return message === undefined ? [] : [{ path: inside(name), message }]
        }),
      ]
    },
    tidy: (value: unknown) => each((one, name) => one.tidy((value as Members)[name])),
    profile: (value: Members) => joined(all.map(([name, one]) => one.profile?.(value[name], value) ?? {})),
  }
}

function joined(parts: readonly ProfilePart[]): ProfilePart {
  const whole: Record<string, unknown> = {}
  for (const [name, value] of parts.flatMap((part) => Object.entries(part))) {
    const before = whole[name]
    whole[name] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value
  }
  return whole
}
