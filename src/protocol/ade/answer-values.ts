/** A JSON object; undefined for everything else. */
export function asRecord(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Record<string, unknown>) : undefined
}

const ISO_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|([+-]\d\d):?(\d\d))?$/i

/** An ISO 8601 instant in whole seconds, UTC when it names no zone; undefined when it is none. */
export function parseTime(text: string): Date | undefined {
  const [, day, time, hours = '+00', minutes = '00'] = ISO_TIME.exec(text) ?? []
  if (day === undefined || time === undefined) return undefined
  const date = new Date(`${day}T${time}${hours}:${minutes}`)
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** Says what of an answer is wrong. */
export class MalformedValue extends Error {
  override readonly name = 'MalformedValue'
}

const MAX_TEXT = 2000
const MAX_SERIAL = 64

/** Reads fields of one JSON object, with its place in the answer for messages. Absent, null and `""` are the same. */
export function readerOf(value: unknown, place: string) {
  const fields = asRecord(value)
  if (fields === undefined) throw new MalformedValue(`${place} is no JSON object`)
  const at = (name: string) => (place === '' ? name : `${place}.${name}`)
  const given = (name: string): unknown => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    return field === null || field === '' ? undefined : field
  }
  const need = <T>(name: string, found: T | undefined): T => {
    if (found === undefined) throw new MalformedValue(`${at(name)} is missing`)
    return found
  }
  const text = (name: string, max = MAX_TEXT): string | undefined => {
    const field = given(name)
    if (field === undefined) return undefined
    if (typeof field !== 'string') throw new MalformedValue(`${at(name)} is no text`)
    if (field.length > max) throw new MalformedValue(`${at(name)} has more than ${max} characters`)
    return field
  }
  return {
    raw: fields,
    text,
    needText: (name: string, max?: number) => need(name, text(name, max)),
    time(name: string): Date | undefined {
      const field = text(name)
      const time = field === undefined ? undefined : parseTime(field)
      if (field !== undefined && time === undefined) throw new MalformedValue(`${at(name)} is no date`)
      return time
    },
    needBoolean(name: string): boolean {
      const field = need(name, given(name))
      if (typeof field !== 'boolean') throw new MalformedValue(`${at(name)} is neither true nor false`)
      return field
    },
    needList(name: string): readonly unknown[] {
      const field = need(name, given(name))
      if (!Array.isArray(field)) throw new MalformedValue(`${at(name)} is no list`)
      return field as unknown[]
    },
    needRecord(name: string): Record<string, unknown> {
      const field = asRecord(need(name, given(name)))
      if (field === undefined) throw new MalformedValue(`${at(name)} is no JSON object`)
      return field
    },
  }
}

/** A serial number as Apple gives it: printable ASCII without spaces, 64 characters at most. */
export function readSerial(value: unknown, place: string): string {
  if (typeof value === 'string' && value.length <= MAX_SERIAL && /^[!-~]+$/.test(value)) return value
  throw new MalformedValue(`${place} is no serial number`)
}
