import { AppError } from '../../kernel/errors.ts'
import { asBuffer } from '../asn1/index.ts'
import { readPem } from '../x509/index.ts'

const MAX_FILE_BYTES = 256 * 1024
const CMS_LABELS = ['PKCS7', 'CMS']

/** The CMS message inside of a `.p7m` file: S/MIME, base64 alone, PEM, or the message itself. Refuses `token_not_smime`. */
export function extractMessage(file: Uint8Array): Buffer {
  if (file.length > MAX_FILE_BYTES) throw refusal(`more than ${MAX_FILE_BYTES} bytes`)
  const bytes = asBuffer(file)
  if (looksLikeDer(bytes)) return bytes
  const text = textOf(bytes)
  if (text.trim() === '') throw refusal('it is empty')
  if (text.includes('-----BEGIN ')) return fromPem(text)
  const raw = Buffer.from(splitHeaders(text).body, 'latin1')
  if (looksLikeDer(raw)) return raw
  const lines = text.replaceAll('\r\r\n', '\n').replaceAll('\r\n', '\n').replaceAll('\r', '\n')
  const { headers, body } = splitHeaders(lines)
  if (/^content-type:[ \t]*multipart\//im.test(headers)) throw refusal('a mail of several parts')
  return fromBase64(body)
}

/** What an editor may have made of the file: UTF-16 in either order, with or without a byte order mark, or UTF-8 with one. */
function textOf(bytes: Buffer): string {
  const isLittle = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] !== 0 && bytes[1] === 0)
  const isBig = (bytes[0] === 0xfe && bytes[1] === 0xff) || (bytes[0] === 0 && bytes[1] !== 0)
  const even = bytes.subarray(0, bytes.length & ~1)
  if (isLittle) return even.toString('utf16le').replace(/^\uFEFF/, '')
  if (isBig)
    return Buffer.from(even)
      .swap16()
      .toString('utf16le')
      .replace(/^\uFEFF/, '')
  return bytes.toString('latin1').replace(/^\u00EF\u00BB\u00BF/, '')
}

/** A SEQUENCE of at least 128 bytes, or of indefinite length; no text begins like that. */
function looksLikeDer(bytes: Buffer): boolean {
  return bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80
}

function fromPem(text: string): Buffer {
  let blocks
  try {
    blocks = readPem(text)
  } catch (error) {
    throw refusal('its PEM is damaged', error)
  }
  const message = blocks.find(({ label }) => CMS_LABELS.includes(label))
  if (message !== undefined) return message.der
  throw refusal(`a PEM file with ${blocks.map(({ label }) => label).join(', ') || 'nothing'} in it`)
}

/** Header lines and their continuations at the start; the empty line after them may be missing. */
function splitHeaders(text: string): { headers: string; body: string } {
  const lines = text.split(/(?<=\n)/)
  let at = 0
  while (lines[at]?.trim() === '') at++
  const first = at
  const isHeader = (line: string) => /^[!-9;-~]+:/.test(line) || (at > first && /^[ \t]+\S/.test(line))
  while (at < lines.length && isHeader(lines[at] ?? '')) at++
  return { headers: lines.slice(0, at).join(''), body: lines.slice(at).join('') }
}

function fromBase64(body: string): Buffer {
  // Editors and old mail programs leave NUL and the end-of-file sign of DOS behind.
  const joined = body.replaceAll('\u001A', '').replace(/[\s\0]+/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(joined)) throw refusal('neither base64 nor a CMS message')
  const message = Buffer.from(joined, 'base64')
  if (!looksLikeDer(message)) throw refusal('what its base64 holds is no CMS message')
  return message
}

function refusal(what: string, cause?: unknown): AppError {
  return new AppError(
    'token_not_smime',
    `This is not the server token file (.p7m) that Apple gives: ${what}.`,
    { cause },
  )
}
