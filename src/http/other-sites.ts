import type { FastifyRequest } from 'fastify'
import { AppError } from '../kernel/errors.ts'

/**
 * Makes the check that refuses what a page of another site makes a browser send, which knows the password that its user once
 * typed: an Origin (RFC 6454, section 7) that is neither of the public address nor of the very address that is asked,
 * or Sec-Fetch-Site (Fetch Metadata Request Headers, section 2.4) that says so. Throws AppError `forbidden`.
 */
export function createSiteCheck(publicUrl: string): (request: FastifyRequest) => void {
  const publicOrigin = new URL(publicUrl).origin
  return ({ headers, protocol, host }) => {
    const { origin, 'sec-fetch-site': site } = headers
    const isOurs = origin === undefined || origin === publicOrigin || origin === `${protocol}://${host}`
    const isDirect = site === undefined || site === 'same-origin' || site === 'none'
    if (!isOurs || !isDirect)
      throw new AppError('forbidden', 'Web pages of other sites may not make requests here.')
  }
}
