/** The words of a text, which blanks and ends of lines part. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/)
}

/** The same, as a set. */
export function wordSet(text: string): ReadonlySet<string> {
  return new Set(words(text))
}

/** A text as it is shown: without what is beyond `longest` UTF-16 units. */
export function shortened(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}
