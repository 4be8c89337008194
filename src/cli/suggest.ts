import { nearest } from '../kernel/nearest.ts'

/** How far a typing error may be from the word that was meant: a third of its letters. */
const TOLERANCE = 3

/** The one of these words that was most likely meant, ready to be added to a message; empty where none is near. */
export function suggestion(given: string, words: readonly string[]): string {
  const best =
    words.find((word) => word.startsWith(given)) ??
    nearest(given, words, (word) => Math.max(1, Math.floor(word.length / TOLERANCE)))
  return best === undefined ? '' : `; did you mean ${best}?`
}
