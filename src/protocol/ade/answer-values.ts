/** A JSON object; undefined for everything else. */
export function asRecord(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Record<string, unknown>) : undefined
}

const ISO_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|([+-]\d\d):?(\d\d))?$/i
const MAX_TIME = 64
/** Apple's program is younger than the first and no date in it is later than the second; `0001-01-01` and the like say nothing. */
const EARLIEST = Date.UTC(2000, 0, 1)
const LATEST = Date.UTC(2100, 0, 1)

/** An ISO 8601 instant in whole seconds, UTC when it names no zone; undefined when it is none, or none of this century. */
export function parseTime(text: string): Date | undefined {
  if (text.length > MAX_TIME) return undefined
  const [, day, time, hours = '+00', minutes = '00'] = ISO_TIME.exec(text.trim()) ?? []
  if (day === undefined || time === undefined || !isDay(day)) return undefined
  const date = new Date(`${day}T${time}${hours}:${minutes}`)
  return date.getTime() >= EARLIEST && date.getTime() < LATEST ? date : undefined
}

/** Node takes the 30th of February for a day in March. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)
}

/** Says what of an answer is wrong. */
export class MalformedValue extends Error {
  override readonly name = 'MalformedValue'
}

const MAX_ANSWER_TEXT = 2000

/**
 * Reads fields of one JSON object. What is advice counts as absent when it is of another type or length than Apple says, as
 * null and `""` do; what is needed throws MalformedValue.
 */
export function readerOf(value: unknown, place: string) {
  const fields = asRecord(value)
  if (fields === undefined) throw new MalformedValue(`${place || 'it'} is no JSON object`)
  const given = (name: string): unknown => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    return field === null || field === '' ? undefined : field
  }
  const text = (name: string, max = MAX_ANSWER_TEXT): string | undefined => {
    const field = given(name)
    return typeof field === 'string' && field.length <= max ? field : undefined
  }
  return {
    raw: fields,
    text,
    time(name: string): Date | undefined {
      const field = text(name)
      return field === undefined ? undefined : parseTime(field)
    },
    /** True and false, also as text or number. */
    flag(name: string): boolean | undefined {
      const field = given(name)
      if (typeof field === 'boolean') return field
      const word = typeof field === 'string' ? field.trim().toLowerCase() : field
      return word === 'true' || word === 1 ? true : word === 'false' || word === 0 ? false : undefined
    },
    needText(name: string, max?: number): string {
      const found = text(name, max)
      if (found === undefined) throw new MalformedValue(`${name} is missing, or no text`)
      return found
    },
    list(name: string): readonly unknown[] | undefined {
      const field = given(name)
      return Array.isArray(field) ? (field as unknown[]) : undefined
    },
    needRecord(name: string): Record<string, unknown> {
      const field = asRecord(given(name))
      if (field === undefined) throw new MalformedValue(`${name} is missing, or no JSON object`)
      return field
    },
  }
}

/** Whether two texts are one UUID: Apple writes them with and without dashes, in both cases. */
export function isSameUuid(a: string, b: string): boolean {
  const plain = (uuid: string) => uuid.replaceAll('-', '').toUpperCase()
  return plain(a) === plain(b)
}
