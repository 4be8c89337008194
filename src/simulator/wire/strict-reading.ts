import { AppError } from '../../kernel/errors.ts'
import { isLoopbackHost } from '../../kernel/loopback.ts'
import { isDict, type PlistDict, type PlistValue } from '../../protocol/plist/index.ts'

const UUID = /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/i

/** Refuses what a device was given; the message names the part. */
export function refuse(reason: string): never {
  throw new AppError('message_invalid', reason)
}

/** A required, non-empty text. */
export function textOf(dict: PlistDict, key: string, where: string): string {
  const value = dict[key]
  return typeof value === 'string' && value !== '' ? value : refuse(`${where}: ${key} is not a text`)
}

/** A required dictionary. */
export function dictOf(value: PlistValue | undefined, where: string): PlistDict {
  return isDict(value) ? value : refuse(`${where} is not a dictionary`)
}

/** A required UUID. */
export function uuidOf(dict: PlistDict, key: string, where: string): string {
  const value = textOf(dict, key, where)
  return UUID.test(value) ? value : refuse(`${where}: ${key} is not a UUID`)
}

/** A flag, false when left out. */
export function flagOf(dict: PlistDict, key: string, where: string): boolean {
  const value = dict[key] ?? false
  return typeof value === 'boolean' ? value : refuse(`${where}: ${key} is not a boolean`)
}

/** A list of texts, empty when left out. */
export function textsOf(dict: PlistDict, key: string, where: string): string[] {
  const value = dict[key] ?? []
  if (!Array.isArray(value)) return refuse(`${where}: ${key} is not an array`)
  return value.map((item) => (typeof item === 'string' ? item : refuse(`${where}: ${key} holds no text`)))
}

/** An absolute URL that a device would talk to: https, or http to the machine itself (or anywhere, where allowed). */
export function urlOf(dict: PlistDict, key: string, where: string, plainAllowed = false): string {
  const text = textOf(dict, key, where)
  const url = URL.canParse(text) ? new URL(text) : refuse(`${where}: ${key} is not a URL`)
  const plain = url.protocol === 'http:' && (plainAllowed || isLoopbackHost(url.hostname))
  if (url.protocol !== 'https:' && !plain) refuse(`${where}: ${key} is not https`)
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    refuse(`${where}: ${key} holds credentials or a fragment`)
  }
  return text
}

/** The media type of a Content-Type header, without parameters. */
export function mediaType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]!.trim().toLowerCase()
}
