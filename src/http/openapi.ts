import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { STATUS_CODES } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import { type TSchema, Type } from 'typebox'
import { PROBLEM_TYPE, problemSchema } from './problem.ts'
import { NOTHING, strict } from './validation.ts'

const BODY_METHODS = new Set(['POST', 'PUT', 'PATCH'])
/** As Swagger UI needs it, and without its default of turning http into https. */
const DOCS_CSP = {
  'default-src': ["'self'"],
  'script-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'object-src': ["'none'"],
  'frame-ancestors': ["'none'"],
  'base-uri': ["'self'"],
}

/** Collects the description of the routes that `api` and its children will have. */
export async function describeApi(api: FastifyInstance, version: string): Promise<void> {
  api.addSchema(problemSchema)
  await api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Firstboot operator API',
        version,
        description:
          'Errors are problem documents (RFC 9457) with a stable `code`. Unknown fields are errors.',
      },
      servers: [{ url: '/' }],
      security: [{ api_token: [] }],
      components: {
        securitySchemes: {
          api_token: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API token (`POST /api/v1/api-tokens`).',
          },
        },
      },
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, index) => nameOf(json, index) },
    transformObject: (given) =>
      'openapiObject' in given ? nameSchemas(given.openapiObject) : given.swaggerObject,
  })
}

/** Serves the collected description to people, at `/docs`. */
export async function serveDocs(docs: FastifyInstance): Promise<void> {
  docs.addHook('onRoute', (route) => {
    route.config = { ...route.config, role: 'viewer', basic: true }
  })
  await docs.register(swaggerUi, {
    routePrefix: '/docs',
    indexPrefix: docs.prefix,
    staticCSP: DOCS_CSP,
    uiConfig: { deepLinking: true, persistAuthorization: false, validatorUrl: null },
  })
}

/**
 * Completes the schema of an operator route: unknown fields and query parameters are refused, headers and problems
 * described, and an operation id and a tag given where the route has none.
 */
export function completeRoute(route: RouteOptions, prefix: string): void {
  const method = [route.method].flat()[0] ?? 'GET'
  const path = route.url.slice(prefix.length)
  const schema: FastifySchema = route.schema ?? {}
  route.schema = {
    operationId: operationId(method, path),
    tags: [tagOf(path)],
    ...roleOf(route),
    ...schema,
    querystring: strict(schema.querystring ?? NOTHING),
    ...(schema.body === undefined ? {} : { body: strict(schema.body as TSchema) }),
    headers: headersOf(method, route),
    response: { ...(schema.response as object), ...problemsOf(method, route) },
  }
}

/** The least role that may call, where programs look for such things. */
function roleOf(route: RouteOptions): object {
  return { 'x-role': route.config?.role }
}

/** The description with each schema that has a title told once, by that name, and referred to everywhere else. */
function nameSchemas<T extends { paths?: unknown; components?: { schemas?: unknown } }>(document: T): T {
  const schemas = { ...(document.components?.schemas as Record<string, unknown>) }
  const refer = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(refer)
    if (typeof node !== 'object' || node === null) return node
    const { title, ...copy } = Object.fromEntries(
      Object.entries(node).map(([key, value]) => [key, refer(value)]),
    )
    if (typeof title !== 'string') return title === undefined ? copy : { title, ...copy }
    schemas[title] ??= copy
    if (!isDeepStrictEqual(schemas[title], copy)) throw new Error(`Two schemas have the name ${title}.`)
    return { $ref: `#/components/schemas/${title}` }
  }
  const paths = refer(document.paths)
  return { ...document, paths, components: { ...document.components, schemas } }
}

/** Whether a call changes something that has a version, and may therefore name the one that it means. */
function takesIfMatch(method: string, route: RouteOptions): boolean {
  const creates = method === 'POST' && !route.url.includes(':')
  return route.config?.etag === true && method !== 'GET' && method !== 'HEAD' && !creates
}

function headersOf(method: string, route: RouteOptions): TSchema {
  return Type.Object({
    ...(method === 'POST'
      ? { 'idempotency-key': Type.Optional(Type.String({ description: IDEMPOTENCY })) }
      : {}),
    ...(takesIfMatch(method, route)
      ? { 'if-match': Type.Optional(Type.String({ description: 'The ETag of the version to change.' })) }
      : {}),
  })
}

const IDEMPOTENCY = 'The same key with the same request within 24 hours gets the same answer again.'

/** What any call may be answered. */
const ALWAYS = [400, 401, 403, 429, 500, 503]

function problemsOf(method: string, route: RouteOptions): Record<string, unknown> {
  const hasBody = BODY_METHODS.has(method)
  const statuses = [
    ...ALWAYS,
    ...(route.url.includes(':') ? [404] : []),
    ...(hasBody || method === 'DELETE' ? [409] : []),
    ...(takesIfMatch(method, route) ? [412] : []),
    ...(hasBody ? [413, 415, 422] : []),
  ]
  const content = { [PROBLEM_TYPE]: { schema: { $ref: 'Problem#' } } }
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      { description: `${STATUS_CODES[status]}: a problem.`, content },
    ]),
  )
}

/** `/api-tokens/:id` belongs to `Api tokens`. */
function tagOf(path: string): string {
  const words = (path.split('/')[1] ?? '').replaceAll('-', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** `GET /users/:id` is getUsersById. */
function operationId(method: string, path: string): string {
  const words = path
    .split('/')
    .filter((part) => part !== '')
    .map((part) => (part.startsWith(':') ? `by-${part.slice(1)}` : part))
    .flatMap((part) => part.split(/[^A-Za-z0-9]+/))
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

function nameOf(json: unknown, index: number): string {
  const id: unknown = typeof json === 'object' && json !== null ? Reflect.get(json, '$id') : undefined
  return typeof id === 'string' ? id : `schema-${index}`
}
