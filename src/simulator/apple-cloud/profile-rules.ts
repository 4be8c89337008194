import { isLoopbackHost } from '../../kernel/loopback.ts'
import { words } from '../../kernel/words.ts'
import { parseCertificate } from '../../protocol/x509/index.ts'

type Content = Readonly<Record<string, unknown>>

const MAX_URL = 2_000

/** Texts: their greatest length, and what Apple says of one that is empty, too long or no text. */
const TEXTS: Readonly<Record<string, readonly [max: number, code: string]>> = {
  profile_name: [125, 'CONFIG_NAME_INVALID'],
  department: [125, 'DEPARTMENT_INVALID'],
  support_phone_number: [50, 'SUPPORT_PHONE_INVALID'],
  support_email_address: [250, 'SUPPORT_EMAIL_INVALID'],
  org_magic: [256, 'MAGIC_INVALID'],
}

const URLS = ['url', 'configuration_web_url']
const CERTIFICATES = ['anchor_certs', 'supervising_host_certs']
const TEXT_LISTS = ['skip_setup_items', 'devices', ...CERTIFICATES]
const FLAGS = words(`
  allow_pairing is_supervised is_mandatory is_mdm_removable await_device_configured is_multi_user
  auto_advance_setup do_not_use_profile_from_backup is_return_to_service
`)
const LOCALES: Readonly<Record<string, RegExp>> = { language: /^[a-z]{2,3}$/, region: /^[A-Z]{2}$/ }
const KNOWN = new Set([...Object.keys(TEXTS), ...URLS, ...TEXT_LISTS, ...FLAGS, ...Object.keys(LOCALES)])

/** Apple's word for what is wrong with a profile that is to be defined; undefined for a good one. */
export function profileProblem(content: Content): string | undefined {
  if (content['profile_name'] === undefined) return 'CONFIG_NAME_REQUIRED'
  if (content['url'] === undefined) return 'CONFIG_URL_REQUIRED'
  return textProblem(content) ?? urlProblem(content) ?? shapeProblem(content) ?? meaningProblem(content)
}

/** What a client should not send although Apple takes it: keys of no meaning, certificates that are none. */
export function profileOddities(content: Content): string[] {
  const unknown = Object.keys(content).filter((key) => !KNOWN.has(key))
  const broken = CERTIFICATES.filter((key) => {
    const list = content[key]
    return Array.isArray(list) && !list.every(isCertificate)
  })
  return [
    ...unknown.map((key) => `the profile has a key ${key} that Apple does not know`),
    ...broken.map((key) => `${key} holds something that is no certificate`),
  ]
}

function textProblem(content: Content): string | undefined {
  const bad = Object.entries(TEXTS).find(([key, [max]]) => {
    const value = content[key]
    return (
      value !== undefined && !(typeof value === 'string' && value !== '' && Array.from(value).length <= max)
    )
  })
  return bad?.[1][1]
}

function urlProblem(content: Content): string | undefined {
  const isBad = (value: unknown) => value !== undefined && !(typeof value === 'string' && isGoodUrl(value))
  return URLS.some((key) => isBad(content[key])) ? 'CONFIG_URL_INVALID' : undefined
}

function isGoodUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  if (url.href.length > MAX_URL) return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
}

function shapeProblem(content: Content): string | undefined {
  const isGiven = (key: string) => content[key] !== undefined
  const flagsOk = FLAGS.filter(isGiven).every((key) => typeof content[key] === 'boolean')
  const listsOk = TEXT_LISTS.filter(isGiven).every((key) => isTextList(content[key]))
  return flagsOk && listsOk ? undefined : 'MALFORMED_REQUEST_BODY'
}

function meaningProblem(content: Content): string | undefined {
  if (content['is_mdm_removable'] === false && content['is_supervised'] !== true) return 'FLAGS_INVALID'
  const bad = Object.entries(LOCALES).some(([key, pattern]) => {
    const value = content[key]
    return value !== undefined && !(typeof value === 'string' && pattern.test(value))
  })
  return bad ? 'LOCALE_INVALID' : undefined
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isCertificate(value: unknown): boolean {
  try {
    parseCertificate(Buffer.from(String(value), 'base64'))
    return true
  } catch {
    return false
  }
}
