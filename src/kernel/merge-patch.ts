import { isRecord } from './records.ts'

/** The target as a JSON merge patch leaves it (RFC 7396, section 2); neither is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch
  const merged = new Map(isRecord(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergePatch(merged.get(name), value))
  }
  // Not by assignment: a member may be named __proto__.
  return Object.fromEntries(merged)
}
