/** The word that was most likely meant; undefined where none differs by at most `tolerance(word)` letters. */
export function nearest(
  given: string,
  words: readonly string[],
  tolerance: (word: string) => number,
): string | undefined {
  return words
    .filter((word) => Math.abs(word.length - given.length) <= tolerance(word))
    .map((word) => ({ word, distance: distanceOf(given, word, tolerance(word)) }))
    .filter(({ word, distance }) => distance <= tolerance(word))
    .toSorted((a, b) => a.distance - b.distance)[0]?.word
}

/** Letters to add, drop, exchange or swap with their neighbour to make one word the other; more than `most` is not told exactly. */
function distanceOf(a: string, b: string, most: number): number {
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
    // A swap looks back over two rows.
    if (Math.min(...row) > most && Math.min(...before) > most) return most + 1
  }
  return last[b.length] ?? 0
}
