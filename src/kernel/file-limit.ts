import { readFileSync } from 'node:fs'

/** Where the system says no number: the default of most systems. */
const USUAL_FILE_LIMIT = 1024

/**
 * How many files and connections this process may have open at once: the soft limit, which Node.js raises to the hard one
 * at its start.
 */
export function openFileLimit(path = '/proc/self/limits'): number {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return USUAL_FILE_LIMIT
  }
  const soft = /^Max open files +(\d+|unlimited)/m.exec(text)?.[1]
  if (soft === undefined) return USUAL_FILE_LIMIT
  return soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft)
}
