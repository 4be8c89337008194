import { shortened } from '../../kernel/words.ts'

const LONGEST_DETAIL = 200

/** A time as sentences have it. */
export function at(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** What somebody else said, its first sentence, as part of another one; nothing where that is not known. */
export function said(text: string | null | undefined): string {
  const line = text?.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim() ?? ''
  const [first = ''] = line.split(/[.!?] (?=\p{Lu})/u)
  return first === '' ? '' : ` (${shortened(first, LONGEST_DETAIL).replace(/[.!]$/, '')})`
}

/** The first error that a device gave, in its own words. */
export function saidByDevice(chain: unknown): string {
  const links: unknown[] = Array.isArray(chain) ? chain : [chain]
  const first = links.find((link) => typeof link === 'object' && link !== null) as
    Record<string, unknown> | undefined
  if (first === undefined) return ''
  const parts = ['USEnglishDescription', 'LocalizedDescription', 'ErrorDomain', 'ErrorCode'].map(
    (key) => first[key],
  )
  const [english, local, domain, code] = parts.map((part) =>
    typeof part === 'string' || typeof part === 'number' ? String(part) : '',
  )
  const source = [domain, code].filter(Boolean).join(' ')
  return said([english || local, source].filter(Boolean).join('; '))
}

/** Several names in a sentence, the rest as a number. */
export function listed(names: readonly string[], most = 3): string {
  const rest = names.length - most
  return rest > 0 ? `${names.slice(0, most).join(', ')} and ${rest} more` : names.join(', ')
}
