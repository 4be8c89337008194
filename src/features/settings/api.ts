import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import type { SettingsDoor, SettingsView } from './settings.ts'
import { settingsSchema } from './schema.ts'

const settingsView = Type.Object({
  ...settingsSchema.properties,
  created_at: Type.String({ format: 'date-time' }),
  updated_at: Type.String({ format: 'date-time' }),
})

/** A merge patch names what changes; its properties have no defaults, or they would change too. */
const settingsPatch = Type.Object(
  Object.fromEntries(
    Object.entries<object>(settingsSchema.properties).map(([name, schema]) => {
      const withoutDefault = Object.fromEntries(Object.entries(schema).filter(([key]) => key !== 'default'))
      return [name, Type.Optional(Type.Union([Type.Unsafe(withoutDefault), Type.Null()]))]
    }),
  ),
)

/** `/settings`: what an administrator may change at any time. */
export function settingsApi(deps: {
  settings: Pick<SettingsDoor, 'view' | 'update'>
}): FastifyPluginAsyncTypebox {
  const { settings } = deps
  return async (app) => {
    app.get(
      '/settings',
      {
        config: { role: 'viewer', etag: true },
        schema: { summary: 'The settings', response: { 200: settingsView } },
      },
      async (_request, reply) => {
        const view = await settings.view()
        return reply.header('etag', etagOf(view.version)).send(render(view))
      },
    )

    app.patch(
      '/settings',
      {
        config: { role: 'admin', etag: true },
        schema: { summary: 'Change settings', body: settingsPatch, response: { 200: settingsView } },
      },
      async (request, reply) => {
        const view = await settings.update(request.body, {
          check: (version) => request.checkIfMatch(version),
          by: { actorId: request.actor.id, requestId: request.id },
        })
        return reply.header('etag', etagOf(view.version)).send(render(view))
      },
    )
  }
}

function render({ settings, created_at, updated_at }: SettingsView) {
  return { ...settings, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() }
}
