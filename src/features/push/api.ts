import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { LINE_PATTERN } from '../../kernel/names.ts'
import { decodeCursor, page, pageOf, pageQuery } from '../../kernel/paging.ts'
import type { CertificateRequests } from './certificate-requests.ts'
import type { PushCertificates } from './certificates.ts'
import type { Upload } from './read-certificate.ts'
import { requestsApi } from './requests-api.ts'
import {
  certificateSchema,
  MAX_CERTIFICATE_BYTES,
  pemContent,
  PEM_TYPES,
  render,
  storedSchema,
  storeQuery,
} from './schema.ts'

const TAGS = ['Push certificates']

const pkcs12Schema = Type.Object(
  {
    pkcs12: Type.String({ minLength: 1, description: 'The file in base64.' }),
    password: Type.String({ maxLength: 1024, default: '', description: 'Of the file.' }),
  },
  {
    title: 'Pkcs12Upload',
    description: 'A certificate with its key as PKCS #12.',
    additionalProperties: false,
  },
)

/** `/push-certificates`, and `/push-certificate-requests`: the certificates with which devices are woken. */
export function pushCertificatesApi(deps: {
  certificates: Pick<PushCertificates, 'store' | 'find' | 'list'>
  requests: CertificateRequests
}): FastifyPluginAsyncTypebox {
  const { certificates } = deps
  return async (app) => {
    app.addContentTypeParser(
      PEM_TYPES,
      { parseAs: 'buffer', bodyLimit: MAX_CERTIFICATE_BYTES },
      (_request, body, done) => done(null, body),
    )
    await app.register(requestsApi(deps))

    app.put(
      '/push-certificates',
      {
        config: { role: 'admin', rawBody: true },
        bodyLimit: MAX_CERTIFICATE_BYTES,
        schema: {
          tags: TAGS,
          summary: 'Store a push certificate, or its renewal, with its private key',
          description: 'PEM of both, or PKCS #12. A renewal has the same topic; devices go on with it.',
          querystring: storeQuery,
          body: {
            content: {
              ...pemContent('Certificate and key in PEM, one after the other.'),
              'application/json': { schema: pkcs12Schema },
            },
          },
          response: { 200: storedSchema },
        },
      },
      async (request) => {
        const { apple_id: appleId, force } = request.query
        const stored = await certificates.store(uploadOf(request.body), request.act, { appleId, force })
        return { ...render(stored), warnings: stored.warnings }
      },
    )

    app.get(
      '/push-certificates',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Push certificates by topic',
          description: 'Their private keys are never told.',
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(certificateSchema) },
        },
      },
      async (request) => {
        const { limit, cursor } = request.query
        const [after] = decodeCursor(cursor, ['string']) ?? []
        const rows = await certificates.list({ after, limit: limit + 1 })
        return page(rows.map(render), limit, ({ topic }) => [topic])
      },
    )

    app.get(
      '/push-certificates/:topic',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'One push certificate',
          description: 'With what Apple says of it.',
          params: Type.Object({
            topic: Type.String({ maxLength: 256, pattern: LINE_PATTERN, description: 'Its topic.' }),
          }),
          response: { 200: certificateSchema },
        },
      },
      async (request) => {
        const found = await certificates.find(request.params.topic)
        if (found === undefined)
          throw new AppError('not_found', 'There is no push certificate of that topic.')
        return render(found)
      },
    )
  }
}

function uploadOf(body: unknown): Upload {
  if (Buffer.isBuffer(body)) return { pem: body }
  if (typeof body !== 'object' || body === null) {
    throw new AppError('push_certificate_invalid', 'There is no certificate: the body is empty.')
  }
  const { pkcs12, password } = body as { pkcs12: string; password: string }
  if (!/^[A-Za-z0-9+/\s=]+$/.test(pkcs12)) {
    throw new AppError('invalid_request', 'pkcs12 is not base64.', {
      fields: [{ path: 'pkcs12', message: 'is not base64' }],
    })
  }
  return { pkcs12: Buffer.from(pkcs12, 'base64'), password }
}
