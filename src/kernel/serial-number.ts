const MAX_SERIAL_LENGTH = 64

/**
 * A serial number in the one form in which serial numbers are kept and compared: letters and digits of ASCII, capitals. Undefined for
 * what is none, such as those of virtual Macs, which have `+` and `/`.
 */
export function serialNumberOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  return text.length <= MAX_SERIAL_LENGTH && /^[A-Za-z0-9]+$/.test(text) ? text.toUpperCase() : undefined
}
