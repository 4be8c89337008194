import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Packages } from './packages.ts'
import { rangeOf } from './range.ts'

type ByKey = { Params: { key: string } }

/** `/apps/{key}/manifest.plist` and `/apps/{key}/app.ipa`: what devices fetch of hosted apps. */
export function appRoutes(deps: { packages: Packages }): FastifyPluginAsync {
  const { packages } = deps
  return async (app) => {
    app.route<ByKey>({
      method: ['GET', 'HEAD'],
      url: '/apps/:key/manifest.plist',
      async handler(request, reply) {
        const { text, sha256 } = await packages.manifest(request.params.key)
        const body = Buffer.from(text)
        const etag = tagOf(sha256)
        reply.headers({ etag, 'cache-control': 'private, no-cache', 'x-content-type-options': 'nosniff' })
        if (matches(request.headers['if-none-match'], etag)) return reply.code(304).send()
        reply.type('application/xml').header('content-length', body.length)
        return reply.send(request.method === 'HEAD' ? undefined : body)
      },
    })
    app.route<ByKey>({
      method: ['GET', 'HEAD'],
      url: '/apps/:key/app.ipa',
      handler: (request, reply) => sendPackage(packages, request, reply),
    })
  }
}

async function sendPackage(
  packages: Packages,
  request: FastifyRequest<ByKey>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { headers, method } = request
  const own = await packages.find(request.params.key)
  const etag = tagOf(own.sha256)
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-cache',
    'x-content-type-options': 'nosniff',
  })
  if (matches(headers['if-none-match'], etag)) return reply.code(304).send()
  const isHead = method === 'HEAD'
  // A part is of use only with the file of which one has the others (RFC 9110, section 13.1.5).
  const condition = headers['if-range']
  const isSame = condition === undefined || condition === etag
  const range = isSame && !isHead ? rangeOf(headers.range, own.size) : undefined
  if (range === 'unsatisfiable') {
    return reply.code(416).header('content-range', `bytes */${own.size}`).send()
  }
  const handle = await packages.open(own)
  const { start, end } = range ?? { start: 0, end: own.size - 1 }
  reply.type('application/octet-stream').header('content-length', end - start + 1)
  if (range !== undefined) reply.code(206).header('content-range', `bytes ${start}-${end}/${own.size}`)
  if (isHead) {
    await handle.close()
    return reply.send()
  }
  return reply.send(handle.createReadStream({ start, end }))
}

function tagOf(sha256: Buffer): string {
  return `"${sha256.toString('base64url')}"`
}

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((each) => [etag, `W/${etag}`, '*'].includes(each.trim()))
}
