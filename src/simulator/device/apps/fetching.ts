import { createHash, type Hash } from 'node:crypto'
import { refuse } from '../../wire/strict-reading.ts'
import type { DeviceHttp } from '../../wire/device-http.ts'
import { readManifest, type Manifest, type PackageAsset } from './manifest.ts'

/** How much of a package a device fetches: all of it, its head alone, or nothing. */
export type Download = 'whole' | 'head' | 'none'

/** A package that was fetched. */
interface Fetched {
  /** Bytes; 0 when only nothing was fetched. */
  size: number
  /** Hex; empty when it was not fetched whole. */
  sha256: string
}

const HEADERS = { accept: '*/*', 'user-agent': 'com.apple.appstored/1.0' }
const PIECE = 8 * 1024 * 1024
const NO_HEAD: ReadonlySet<number> = new Set([404, 405, 501])

/** Fetches a manifest; refuses `message_invalid`, rejects with ConnectionLost or MalformedHttp. */
export async function fetchManifest(http: DeviceHttp, url: string): Promise<Manifest> {
  const { status, body } = await http.send({ method: 'GET', url, headers: HEADERS })
  if (status !== 200) return refuse(`the manifest was answered with ${status}`)
  return readManifest(body)
}

/**
 * Fetches a package as a device does: its head, then piece by piece, each of which must have the hash that the manifest
 * says. A server that knows no ranges may send it whole. Refuses `message_invalid`.
 */
export async function fetchPackage(
  http: DeviceHttp,
  { url, hashes }: PackageAsset,
  download: Download,
): Promise<Fetched> {
  if (download === 'none') return { size: 0, sha256: '' }
  const head = await http.send({ method: 'HEAD', url, headers: HEADERS })
  if (head.status !== 200 && !NO_HEAD.has(head.status))
    refuse(`HEAD of the package was answered with ${head.status}`)
  const told = head.status === 200 ? Number(head.headers['content-length'] ?? Number.NaN) : Number.NaN
  if (download === 'head') return { size: Number.isNaN(told) ? 0 : told, sha256: '' }
  const check = createPieceCheck(hashes)
  let size = 0
  for (let total = Number.POSITIVE_INFINITY; size < total;) {
    const piece = await fetchPiece(http, url, size)
    if (piece.bytes.length === 0 && piece.total > 0) refuse('a range of the package came empty')
    if (total !== Number.POSITIVE_INFINITY && piece.total !== total)
      refuse('the package changed its size on the way')
    total = piece.total
    size += piece.bytes.length
    check.take(piece.bytes)
  }
  if (!Number.isNaN(told) && told !== size) refuse(`HEAD told of ${told} bytes, and ${size} came`)
  if (size === 0) refuse('the package is empty')
  return { size, sha256: check.end() }
}

async function fetchPiece(
  http: DeviceHttp,
  url: string,
  from: number,
): Promise<{ bytes: Buffer; total: number }> {
  const range = `bytes=${from}-${from + PIECE - 1}`
  const { status, headers, body } = await http.send({ method: 'GET', url, headers: { ...HEADERS, range } })
  if (status === 200 && from === 0) return { bytes: body, total: body.length }
  if (status !== 206) return refuse(`the package was answered with ${status}`)
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []
  if (Number(first) !== from || Number(last) !== from + body.length - 1) {
    return refuse(`Content-Range of the package is ${headers['content-range'] ?? 'missing'} for ${range}`)
  }
  return { bytes: body, total: Number(total) }
}

/** Compares the hashes of the pieces as the bytes come in. */
function createPieceCheck(hashes: PackageAsset['hashes']) {
  const whole = createHash('sha256')
  const size = hashes?.size ?? Number.POSITIVE_INFINITY
  let piece: Hash | undefined
  let filled = 0
  let count = 0

  function close(): void {
    const digest = piece?.digest('hex')
    piece = undefined
    filled = 0
    const expected = hashes?.values[count]
    if (digest !== expected?.toLowerCase())
      refuse(`piece ${count} of the package has the wrong ${hashes?.algorithm}`)
    count += 1
  }

  return {
    take(bytes: Buffer): void {
      whole.update(bytes)
      if (hashes === undefined) return
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + Math.min(size - filled, bytes.length - at))
        piece ??= createHash(hashes.algorithm)
        piece.update(part)
        filled += part.length
        at += part.length
        if (filled === size) close()
      }
    },
    /** SHA-256 of the whole, hex. */
    end(): string {
      if (piece !== undefined) close()
      if (hashes !== undefined && count !== hashes.values.length) {
        refuse(`the manifest has ${hashes.values.length} hashes for a package of ${count} pieces`)
      }
      return whole.digest('hex')
    },
  }
}
