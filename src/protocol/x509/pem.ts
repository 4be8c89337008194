import { AppError } from '../../kernel/errors.ts'
import { asBuffer } from '../asn1/index.ts'

/** One block of a PEM text. `encrypted` when its headers say that the body is (RFC 1421). */
export interface PemBlock {
  readonly label: string
  readonly der: Buffer
  readonly encrypted: boolean
}

const MAX_PEM_BYTES = 1024 * 1024
const LABEL = /^[A-Z0-9 ]{1,64}$/

/**
 * Reads all blocks of a PEM text (RFC 7468); text between them, a byte order mark and any line ends are fine.
 * Refuses `x509_invalid`: a block without its end, a body that is no base64, more than 1 MiB.
 */
export function readPem(input: Uint8Array | string): PemBlock[] {
  if (input.length > MAX_PEM_BYTES)
    throw new AppError('x509_invalid', `PEM: more than ${MAX_PEM_BYTES} bytes`)
  const text = typeof input === 'string' ? input : asBuffer(input).toString('latin1')
  const blocks: PemBlock[] = []
  let label: string | undefined
  let lines: string[] = []
  for (const line of text.replace(/^(\uFEFF|\u00EF\u00BB\u00BF)/, '').split(/\r\n|\n|\r/)) {
    const begin = labelIn(line, '-----BEGIN ')
    const end = labelIn(line, '-----END ')
    if (begin !== undefined) {
      if (label !== undefined) throw new AppError('x509_invalid', `PEM: ${label} has no end`)
      label = begin
      lines = []
    } else if (end !== undefined) {
      if (label !== end) throw new AppError('x509_invalid', `PEM: an end of ${end} without its beginning`)
      blocks.push(finish(label, lines))
      label = undefined
    } else if (label !== undefined) lines.push(line.trim())
  }
  if (label !== undefined) throw new AppError('x509_invalid', `PEM: ${label} has no end`)
  return blocks
}

/** Writes one PEM block. */
export function writePem(label: string, der: Uint8Array): string {
  const lines =
    asBuffer(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

function labelIn(line: string, start: string): string | undefined {
  const text = line.trim()
  if (!text.startsWith(start) || !text.endsWith('-----')) return undefined
  const label = text.slice(start.length, -5)
  return LABEL.test(label) ? label : undefined
}

function finish(label: string, lines: string[]): PemBlock {
  const headers = lines.filter((line) => line.includes(':'))
  const body = lines.slice(lines.findLastIndex((line) => line.includes(':')) + 1).join('')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body)) throw new AppError('x509_invalid', `PEM: ${label} is no base64`)
  const encrypted =
    label === 'ENCRYPTED PRIVATE KEY' || headers.some((line) => /^Proc-Type:.*ENCRYPTED/.test(line))
  return { label, der: Buffer.from(body, 'base64'), encrypted }
}
