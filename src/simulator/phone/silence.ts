import { wordSet } from '../../kernel/words.ts'
import { PROFILE_TYPE } from '../device/profiles/enrollment-profile.ts'
import type { HttpAnswer } from '../wire/device-http.ts'
import { mediaType } from '../wire/strict-reading.ts'
import type { ReportViolation } from '../wire/violations.ts'

/** Headers that every server sends, whatever it answers. */
const NEUTRAL = wordSet(`
  date connection keep-alive content-length server vary via cache-control strict-transport-security
  content-security-policy x-content-type-options referrer-policy x-frame-options permissions-policy
  cross-origin-opener-policy cross-origin-resource-policy cross-origin-embedder-policy
  x-dns-prefetch-control x-permitted-cross-domain-policies x-download-options x-xss-protection
`)
const HINT =
  /limit|reason|block|refus|deni|reject|serial|user|polic|error|code|device|exceed|unknown|assign|detail|count|quota/i

/** A refusal must be silent: no body, and no header with a hint in it. */
export function checkSilence(what: string, answer: HttpAnswer, report: ReportViolation): void {
  const { body, headers, status } = answer
  if (body.length > 0) {
    report(
      'refusal_not_silent',
      `${what}: ${status} with ${body.length} bytes: ${body.toString('latin1', 0, 80)}`,
    )
  }
  for (const [name, value] of Object.entries(headers)) {
    if (NEUTRAL.has(name)) continue
    const hint = HINT.exec(`${name}: ${String(value)}`)
    if (hint !== null)
      report('refusal_not_silent', `${what}: ${status} with ${name}, which says “${hint[0]}”`)
  }
}

/** Whoever is refused gets no profile. */
export function checkNoProfile(what: string, answer: HttpAnswer, report: ReportViolation): void {
  const looksLikeOne = answer.body.includes('com.apple.mdm') || answer.body.includes('PayloadContent')
  if (looksLikeOne || mediaType(answer.headers['content-type']) === PROFILE_TYPE) {
    report('profile_with_refusal', `${what}: ${answer.status}`)
  }
}
