import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { etagOf } from '../../../kernel/etag.ts'
import { AppError } from '../../../kernel/errors.ts'
import { pageOf, pageQuery } from '../../../kernel/paging.ts'
import { resourceApi } from '../../../kernel/resource-api.ts'
import { idParam } from '../../../kernel/schema.ts'
import type { AppPatch, Apps, NewApp } from './apps.ts'
import type { Packages } from './packages.ts'
import { appPatchSchema, appSchema, kind, newAppSchema, revisionSchema, rolloutQuery } from './schema.ts'
import { renderApp, renderRevision } from './view.ts'

const ID = 'The id of the app.'
const params = idParam(ID)

/** `/apps`: what groups may deliver of the App Store and of one's own. */
export function appsApi(deps: { apps: Apps; packages: Packages }): FastifyPluginAsyncTypebox {
  const { apps, packages } = deps
  return async (app) => {
    await app.register(itself(apps))
    await app.register(revisions(apps))
    await app.register(upload(packages))
  }
}

function itself(apps: Apps) {
  return resourceApi({
    path: '/apps',
    id: ID,
    view: appSchema,
    render: renderApp,
    create: {
      summary: 'Make an app',
      description:
        'Of the App Store by its number, or an enterprise one by its manifest. Without a manifest, upload its package then.',
      body: newAppSchema,
      run: (body, act) => apps.create(body as NewApp, act),
    },
    list: {
      summary: 'Apps by name',
      description: 'Each with its newest revision.',
      query: Type.Object({
        ...pageQuery,
        kind: Type.Optional(kind),
        name: Type.Optional(Type.String({ minLength: 1, description: 'Only apps of this name.' })),
      }),
      run: apps.list,
    },
    get: { summary: 'One app', description: 'With its newest revision.', run: apps.get },
    update: {
      summary: 'Change an app',
      description:
        'A JSON merge patch. What changes its delivery makes a new revision, which everybody gets at once or by a rollout.',
      body: appPatchSchema,
      query: Type.Object(rolloutQuery),
      run: (id, patch, act, { rollout }) => apps.update(id, patch as AppPatch, act, { isReleased: !rollout }),
    },
    remove: {
      summary: 'Delete an app with its revisions and packages',
      description: 'Refused while a group delivers it.',
      run: apps.remove,
    },
  })
}

function revisions(apps: Apps): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/apps/:id/revisions',
      {
        config: { role: 'viewer' },
        schema: {
          summary: 'The revisions of an app, the newest first',
          description: 'What was delivered stays as it was.',
          params,
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(revisionSchema) },
        },
      },
      async (request) => {
        const found = await apps.revisions(request.params.id, request.query)
        const items = found.items.map((each) => renderRevision(each, found.app.released_revision))
        return { items, next_cursor: found.next_cursor }
      },
    )
  }
}

function upload(packages: Packages): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('application/octet-stream', (_request, body, done) => done(null, body))
    app.put(
      '/apps/:id/package',
      {
        config: { role: 'admin', etag: true, rawBody: true },
        schema: {
          summary: 'Upload the package (IPA) of an enterprise app',
          description:
            'The bytes of the file. It makes the next revision, for which this server makes the manifest; the same file again changes nothing.',
          params,
          querystring: Type.Object(rolloutQuery),
          body: {
            content: { 'application/octet-stream': { schema: Type.Unknown({ description: 'The IPA.' }) } },
          },
          response: { 200: appSchema },
        },
      },
      async (request, reply) => {
        const { body, headers, query, raw } = request
        if (!(body instanceof Readable)) throw new AppError('package_invalid', 'The body is empty.')
        const length = headers['content-length']
        request.allowLongBody()
        try {
          const stored = await packages.upload(request.params.id, body, request.act, {
            isReleased: !query.rollout,
            declared: length === undefined ? undefined : Number(length),
          })
          return await reply.header('etag', etagOf(stored.version)).send(renderApp(stored))
        } catch (error) {
          // What is still to come is read and dropped, so that whoever sends it hears why.
          raw.resume()
          throw error
        }
      },
    )
  }
}
