import type { FastifyPluginAsync, FastifyReply, FastifySchemaCompiler } from 'fastify'
import type { Static, TObject, TSchema } from 'typebox'
import type { Act } from './act.ts'
import { etagOf } from './etag.ts'
import { type Page, pageOf } from './paging.ts'
import { idParam, nothing } from './schema.ts'

type ById = { Params: { id: string } }

/** What the API's description says of a call. */
type Said = { summary: string; description: string }

/** Things of a kind, each with a version: how they are made, listed, told, changed and deleted. */
interface Resource<
  T extends { id: string; version: number },
  View extends TSchema,
  Query extends TObject,
  New extends TSchema,
  Patch extends TSchema,
  Removal extends TObject,
  Change extends TObject,
> {
  /** Below `/api/v1`, with a slash. */
  path: string
  /** Where the description lists it, if its path does not say it. */
  tags?: string[]
  /** What the id in an address is. */
  id: string
  view: View
  render: (thing: T) => Static<View>
  create: Said & { body: New; run: (body: Static<New>, act: Act) => Promise<T> }
  list: Said & { query: Query; run: (query: Static<Query>) => Promise<Page<T>> }
  get: Said & { run: (id: string) => Promise<T> }
  /** A JSON merge patch. */
  update: Said & {
    body: Patch
    query?: Change
    run: (id: string, patch: Static<Patch>, act: Act, query: Static<Change>) => Promise<T>
  }
  remove: Said & {
    query?: Removal
    /** What `run` may give: what waits before anything is deleted. */
    waiting?: TSchema
    run: (id: string, act: Act, query: Static<Removal>) => Promise<object | void>
  }
  /** Schemas of bodies only describe them: what is run checks them. */
  takesAnyBody?: true
}

/** The routes of such things. Viewers may read, admins change; changes heed If-Match. */
export function resourceApi<
  T extends { id: string; version: number },
  View extends TSchema,
  Query extends TObject,
  New extends TSchema,
  Patch extends TSchema,
  Removal extends TObject,
  Change extends TObject,
>(resource: Resource<T, View, Query, New, Patch, Removal, Change>): FastifyPluginAsync {
  const { path, view, create, list, get, update, remove } = resource
  const params = idParam(resource.id)
  const said = ({ summary, description }: Said) => ({
    ...(resource.tags && { tags: resource.tags }),
    summary,
    description,
  })
  const tell = (reply: FastifyReply, thing: T) =>
    reply.header('etag', etagOf(thing.version)).send(resource.render(thing))

  return async (app) => {
    const checked = resource.takesAnyBody && {
      validatorCompiler: anyBody(app.validatorCompiler as FastifySchemaCompiler<TSchema>),
    }
    app.post<{ Body: unknown }>(
      path,
      {
        config: { role: 'admin', etag: true },
        ...checked,
        schema: { ...said(create), body: create.body, response: { 201: view } },
      },
      async (request, reply) => {
        const thing = await create.run(request.body as Static<New>, request.act)
        return tell(reply.code(201).header('location', `/api/v1${path}/${thing.id}`), thing)
      },
    )
    app.get(
      path,
      {
        config: { role: 'viewer' },
        schema: { ...said(list), querystring: list.query, response: { 200: pageOf(view) } },
      },
      async (request) => {
        const { items, next_cursor } = await list.run(request.query as Static<Query>)
        return { items: items.map(resource.render), next_cursor }
      },
    )
    app.get<ById>(
      `${path}/:id`,
      {
        config: { role: 'viewer', etag: true },
        schema: { ...said(get), params, response: { 200: view } },
      },
      async (request, reply) => tell(reply, await get.run(request.params.id)),
    )
    app.patch<ById>(
      `${path}/:id`,
      {
        config: { role: 'admin', etag: true },
        ...checked,
        schema: {
          ...said(update),
          params,
          ...(update.query && { querystring: update.query }),
          body: update.body,
          response: { 200: view },
        },
      },
      async (request, reply) => {
        const [patch, query] = [request.body as Static<Patch>, request.query as Static<Change>]
        return tell(reply, await update.run(request.params.id, patch, request.act, query))
      },
    )
    app.delete<ById>(
      `${path}/:id`,
      {
        config: { role: 'admin', etag: true },
        schema: {
          ...said(remove),
          params,
          ...(remove.query && { querystring: remove.query }),
          response: { ...(remove.waiting && { 202: remove.waiting }), 204: nothing },
        },
      },
      async (request, reply) => {
        const waiting = await remove.run(request.params.id, request.act, request.query as Static<Removal>)
        return waiting === undefined ? reply.code(204).send() : reply.code(202).send(waiting)
      },
    )
  }
}

function anyBody(validate: FastifySchemaCompiler<TSchema>): FastifySchemaCompiler<TSchema> {
  return (part) => (part.httpPart === 'body' ? (value: unknown) => ({ value }) : validate(part))
}
