/** The words of a text, which blanks and ends of lines part. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/)
}

/** The same, as a set. */
export function wordSet(text: string): ReadonlySet<string> {
  return new Set(words(text))
}
