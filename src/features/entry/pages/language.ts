import { de } from './words/de.ts'
import { en } from './words/en.ts'
import { fr } from './words/fr.ts'
import type { Words } from './words/words.ts'

const LANGUAGES = { en, de, fr } as const
type Language = keyof typeof LANGUAGES

/** What is looked at of a header: browsers send some forty characters. */
const MAX_LENGTH = 1_000
const MAX_RANGES = 50
/** A weight (RFC 9110, section 12.4.2). */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

/** How pages look to one reader: in which words, of whose organization, and whom to call. */
export interface Look {
  language: Language
  words: Words
  organization: string | null
  supportPhone: string | null
}

/** The look for a reader, by the header Accept-Language and the settings. */
export function lookFor(
  acceptLanguage: string | undefined,
  settings: { organization_name: string | null; support_phone_number: string | null },
): Look {
  const language = pickLanguage(acceptLanguage)
  const { organization_name: organization, support_phone_number: supportPhone } = settings
  return { language, words: LANGUAGES[language], organization, supportPhone }
}

/** The language that a reader likes best (RFC 9110, section 12.5.4), of those that there are; English by default. */
export function pickLanguage(header = ''): Language {
  if (header.length > MAX_LENGTH) return 'en'
  const wishes = header.split(',', MAX_RANGES).flatMap((range) => wishOf(range))
  const refused = new Set(wishes.flatMap(({ language, weight }) => (weight === 0 ? [language] : [])))
  const wanted = wishes
    .filter(({ weight }) => weight > 0)
    .toSorted((one, other) => other.weight - one.weight)
    .map(({ language }) => (language === '*' ? (firstBut(refused) ?? 'en') : language))
    .find((language) => isKnown(language) && !refused.has(language))
  return wanted !== undefined && isKnown(wanted) ? wanted : 'en'
}

function wishOf(range: string): { language: string; weight: number }[] {
  const [tag = '', ...parameters] = range.split(';', 3).map((part) => part.trim().toLowerCase())
  const [language = ''] = tag.split('-', 1)
  if (language === '') return []
  const [parameter] = parameters
  if (parameter === undefined) return [{ language, weight: 1 }]
  const [name = '', value = ''] = parameter.split('=', 2).map((part) => part.trim())
  return name === 'q' && WEIGHT.test(value) ? [{ language, weight: Number(value) }] : []
}

function firstBut(refused: ReadonlySet<string>): string | undefined {
  return Object.keys(LANGUAGES).find((language) => !refused.has(language))
}

function isKnown(language: string): language is Language {
  return Object.hasOwn(LANGUAGES, language)
}
