/** What came with a request in the Basic scheme; `problem` says why there is nothing to check. */
type BasicCredentials = { userName: string; password: string } | { problem: string }

const MAX_HEADER = 8192
const BASIC = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i

/**
 * Reads the Authorization header of the Basic scheme (RFC 7617). The text is UTF-8, else Latin-1, as Setup Assistant does
 * not say which; the first colon ends the user name. Control characters are refused in names, U+0000 in passwords too.
 */
export function readBasic(header: string | undefined): BasicCredentials {
  if (header === undefined || header.trim() === '') return { problem: 'no credentials were sent' }
  if (header.length > MAX_HEADER) return { problem: 'the Authorization header is too long' }
  const encoded = BASIC.exec(header.trim())?.[1]
  if (encoded === undefined) return { problem: 'the Authorization header is not one of the Basic scheme' }
  const text = decode(Buffer.from(encoded, 'base64'))
  const colon = text.indexOf(':')
  if (colon === -1) return { problem: 'the Basic credentials hold no colon' }
  const userName = text.slice(0, colon).trim()
  const password = text.slice(colon + 1)
  if (userName === '') return { problem: 'the user name is empty' }
  if (/\p{Cc}/u.test(userName) || password.includes('\0')) {
    return { problem: 'the Basic credentials hold control characters' }
  }
  return { userName, password }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return bytes.toString('latin1')
  }
}
