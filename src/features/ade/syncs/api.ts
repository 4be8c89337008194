import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../../kernel/errors.ts'
import { decodeCursor, page, pageOf, pageQuery } from '../../../kernel/paging.ts'
import { idParam, text } from '../../../kernel/schema.ts'
import type { AdeDeps } from '../deps.ts'
import { findServer } from '../servers/store.ts'
import { noServer } from '../servers/tokens.ts'
import { runSchema } from './schema.ts'
import * as store from './store.ts'
import type { Syncs } from './syncs.ts'
import { showRun } from './view.ts'

const TAGS = ['ADE servers']
const params = idParam('The id of the ADE server.')

/** `/ade-servers/{id}/syncs`. */
export function syncsApi({
  db,
  clock,
  syncs,
}: Pick<AdeDeps, 'db' | 'clock'> & { syncs: Syncs }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/ade-servers/:id/syncs',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Fetch the serial numbers from Apple',
          description:
            'A full sync at most once in seven days, otherwise one that brings what has changed. Refused with `sync_running` while one runs.',
          params,
          response: { 202: runSchema },
        },
      },
      async (request, reply) => {
        const run = await syncs.startByHand(request.params.id, request.act)
        return reply
          .code(202)
          .header('location', `/api/v1/ade-servers/${run.ade_server_id}/syncs/${run.id}`)
          .send(showRun(run, clock.now()))
      },
    )

    app.get(
      '/ade-servers/:id/syncs',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Syncs of an ADE server, newest first',
          description: 'Those that run or have ended, started by hand or by themselves.',
          params,
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(runSchema) },
        },
      },
      async (request) => {
        const { limit, cursor } = request.query
        const [before] = decodeCursor(cursor, ['string']) ?? []
        if ((await findServer(db.kysely, request.params.id)) === undefined) throw noServer()
        const query = { serverId: request.params.id, before, limit: limit + 1 }
        const runs = await store.listRuns(db.kysely, query)
        return page(
          runs.map((run) => showRun(run, clock.now())),
          limit,
          ({ id }) => [id],
        )
      },
    )

    app.get(
      '/ade-servers/:id/syncs/:sync_id',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'One sync',
          description: 'How far it has come.',
          params: Type.Object({ ...params.properties, sync_id: text('The id of the sync.') }),
          response: { 200: runSchema },
        },
      },
      async (request) => {
        const run = await store.findRun(db.kysely, request.params.id, request.params.sync_id)
        if (run === undefined) throw new AppError('not_found', 'There is no such sync.')
        return showRun(run, clock.now())
      },
    )
  }
}
