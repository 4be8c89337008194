import { AppError } from './errors.ts'

/** An entity tag (RFC 9110, section 8.8.3), with its weakness and its opaque text apart. */
const ENTITY_TAG = /^\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)/

/** The strong entity tag of a resource in its `version`, a number that rises with every change. */
export function etagOf(version: number): string {
  return `"${version}"`
}

/**
 * Checks the If-Match header of a change (RFC 9110, section 13.1.1) against the version the resource has now. Without
 * the header nothing is checked. Throws AppError `precondition_failed` when no tag matches (weak ones never do), and
 * `invalid_request` when the header is none.
 */
export function checkIfMatch(header: string | undefined, version: number): void {
  if (header === undefined || header.trim() === '*') return
  if (!strongTags(header).includes(etagOf(version))) {
    throw new AppError('precondition_failed')
  }
}

function strongTags(header: string): string[] {
  const tags: string[] = []
  let rest = header
  while (rest.trim() !== '') {
    const found = ENTITY_TAG.exec(rest)
    if (!found) throw new AppError('invalid_request', 'The If-Match header is not a list of entity tags.')
    if (found[1] === undefined) tags.push(`"${found[2]}"`)
    rest = rest.slice(found[0].length)
  }
  return tags
}
