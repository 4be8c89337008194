/** A value without prototypes, buffer classes and the sign of zero, in which readers differ. */
export function plain(input: unknown): unknown {
  if (typeof input === 'number') return input + 0
  if (input instanceof Date || typeof input !== 'object' || input === null) return input
  if (input instanceof Uint8Array) return `data ${Buffer.from(input).toString('hex')}`
  if (Array.isArray(input)) return input.map(plain)
  return Object.fromEntries(Object.entries(input).map(([name, member]) => [name, plain(member)]))
}
