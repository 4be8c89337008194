/** How far a typing error may be from the word that was meant: a third of its letters. */
const TOLERANCE = 3

/** The one of these words that was most likely meant, ready to be added to a message; empty where none is near. */
export function suggestion(given: string, words: readonly string[]): string {
  const near = words
    .map((word) => ({ word, distance: word.startsWith(given) ? 0 : distanceOf(given, word) }))
    .filter(({ word, distance }) => distance <= Math.max(1, Math.floor(word.length / TOLERANCE)))
    .toSorted((a, b) => a.distance - b.distance)
  const [best] = near
  return best === undefined ? '' : `; did you mean ${best.word}?`
}

/** Letters to add, drop, exchange or swap with their neighbour to make one word the other. */
function distanceOf(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[j - 2] ?? 0) + 1 : Infinity,
      )
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
