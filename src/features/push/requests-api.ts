import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { dates, datesOf, idParam, takeNoBody, text, textOrNull } from '../../kernel/schema.ts'
import type { CertificateRequests } from './certificate-requests.ts'
import { MAX_CERTIFICATE_BYTES, pemContent, PEM_TYPES, render, storedSchema, storeQuery } from './schema.ts'
import type { CertificateRequest } from './store.ts'

const TAGS = ['Push certificates']
const MAX_CHAIN_CHARS = 256 * 1024
const MAX_KEY_CHARS = 32 * 1024
const params = idParam('The id of the request.')

const requestSchema = Type.Object(
  {
    id: text('The id of the request.'),
    csr_pem: text('The request (PKCS #10), for a vendor who signs it elsewhere.'),
    upload: textOrNull("The text of the file for Apple's portal; null without a vendor."),
    topic: textOrNull('The push certificate that came of it; null as long as none has.'),
    ...dates,
  },
  { title: 'PushCertificateRequest', description: 'A push certificate that Apple is asked for.' },
)

const newRequest = Type.Object(
  {
    vendor_certificates: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_CHAIN_CHARS,
        description: "The vendor's certificate and those above it to Apple's root, PEM, in any order.",
      }),
    ),
    vendor_key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_KEY_CHARS,
        description: "The vendor's key, PEM, not encrypted. It signs this request, and is not kept.",
      }),
    ),
  },
  { title: 'NewPushCertificateRequest', description: 'Who signs the request, if that is to be done here.' },
)

/** `/push-certificate-requests`: push certificates whose keys are made here. */
export function requestsApi(deps: { requests: CertificateRequests }): FastifyPluginAsyncTypebox {
  const { requests } = deps
  return async (app) => {
    app.post(
      '/push-certificate-requests',
      {
        config: { role: 'admin' },
        preValidation: takeNoBody,
        schema: {
          tags: TAGS,
          summary: 'Make a key and a request for a push certificate',
          description:
            "The key never leaves the server. A vendor's signature makes it a file for Apple's portal.",
          body: newRequest,
          response: { 201: requestSchema },
        },
      },
      async (request, reply) => {
        const made = await requests.create(vendorOf(request.body), request.act)
        return reply
          .code(201)
          .header('location', `/api/v1/push-certificate-requests/${made.id}`)
          .send(renderRequest(made))
      },
    )

    app.get(
      '/push-certificate-requests',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Requests for push certificates',
          description: 'Oldest first.',
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(requestSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await requests.list(request.query)
        return { items: items.map(renderRequest), next_cursor }
      },
    )

    app.get(
      '/push-certificate-requests/:id',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'One request for a push certificate',
          description: 'Without its key.',
          params,
          response: { 200: requestSchema },
        },
      },
      async (request) => renderRequest(await requests.get(request.params.id)),
    )

    app.put(
      '/push-certificate-requests/:id/certificate',
      {
        config: { role: 'admin', rawBody: true },
        bodyLimit: MAX_CERTIFICATE_BYTES,
        schema: {
          tags: TAGS,
          summary: 'Store the certificate that Apple gave',
          description: 'It is the push certificate then. Checked as one with its key is.',
          params,
          querystring: storeQuery,
          body: { content: pemContent('The certificate as Apple gave it, in PEM.') },
          response: { 200: storedSchema },
        },
      },
      async (request) => {
        const { body, query } = request
        if (body !== undefined && !Buffer.isBuffer(body)) {
          throw new AppError('unsupported_media_type', `The certificate is sent as ${PEM_TYPES.join(', ')}.`)
        }
        const options = { appleId: query.apple_id, force: query.force }
        const pem = body ?? Buffer.alloc(0)
        const stored = await requests.putCertificate(request.params.id, pem, request.act, options)
        return { ...render(stored), warnings: stored.warnings }
      },
    )
  }
}

function vendorOf(given: { vendor_certificates?: string; vendor_key?: string }) {
  const { vendor_certificates: certificates, vendor_key: key } = given
  if (certificates === undefined && key === undefined) return undefined
  if (certificates !== undefined && key !== undefined) return { certificates, key }
  const path = key === undefined ? 'vendor_key' : 'vendor_certificates'
  throw new AppError('invalid_request', "The vendor's certificates and key are given together.", {
    fields: [{ path, message: 'is missing' }],
  })
}

function renderRequest(row: CertificateRequest) {
  const { id, csr, upload, topic } = row
  return { id, csr_pem: csr, upload, topic, ...datesOf(row) }
}
