import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AppError } from '../kernel/errors.ts'

const BODY_LIMIT_BYTES = 16 * 1024 * 1024
const JSON_TYPES = ['application/json', 'application/merge-patch+json']
/** Far more than any body has; what recurses over one must not run out of stack. */
const MAX_DEPTH = 64

/**
 * Makes bodies JSON alone: UTF-8 (RFC 8259, section 8.1), of bounded depth, without `__proto__` keys and without U+0000,
 * which no column can hold. A body of no bytes is no body, whatever type it claims.
 */
export function takeJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  const decoder = new TextDecoder('utf-8', { fatal: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    JSON_TYPES,
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (request, body, done) => {
      if (body.length === 0) return done(null, undefined)
      let text: string
      try {
        text = decoder.decode(body as Buffer)
      } catch {
        return done(new AppError('invalid_json', 'The body is not valid UTF-8.'))
      }
      void parse(request, text, (error, value) => {
        if (error !== null) done(error)
        else done(problemOf(value) ?? null, value)
      })
    },
  )
}

/** Refuses U+0000 in an address: no column can hold it, and no name of ours has it. */
export function refuseNul(request: FastifyRequest): void {
  if (request.url.includes('%00')) throw new AppError('invalid_request', 'The address has a U+0000 in it.')
}

/** What makes a parsed value unusable; level by level, as recursion is what it must be safe for. */
function problemOf(value: unknown): AppError | undefined {
  let level = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH)
      return new AppError('invalid_json', `The body is nested deeper than ${MAX_DEPTH} levels.`)
    if (level.some((item) => typeof item === 'string' && item.includes('\0'))) {
      return new AppError('invalid_request', 'The body has a U+0000 in it.')
    }
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? contentOf(item) : []))
  }
  return undefined
}

function contentOf(item: object): unknown[] {
  return Array.isArray(item) ? item : Object.entries(item).flat()
}
