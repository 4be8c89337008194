import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { dates, datesOf, orNull } from '../../kernel/schema.ts'
import type { SettingsDoor, SettingsView } from './settings.ts'
import { settingsSchema } from './schema.ts'

/** Without their defaults, which are told in words: an answer has every setting, and a patch leaves what it does not name. */
const told = Object.entries<object>(settingsSchema.properties).map(([name, schema]) => {
  const { default: value, description, ...rest } = schema as { default: unknown; description: string }
  return [name, Type.Unsafe({ ...rest, description: `${description} Default ${String(value)}.` })] as const
})

const settingsView = Type.Object(
  { ...Object.fromEntries(told), ...dates },
  { title: 'Settings', description: 'The settings as they are now.' },
)

const settingsPatch = Type.Object(
  Object.fromEntries(told.map(([name, schema]) => [name, Type.Optional(orNull(schema))])),
  { title: 'SettingsPatch', description: 'What is to change; null gives the default.' },
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
        schema: {
          summary: 'The settings',
          description: 'What may be changed while the server runs.',
          response: { 200: settingsView },
        },
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
        schema: {
          summary: 'Change settings',
          description: 'A JSON merge patch: what is left out stays.',
          body: settingsPatch,
          response: { 200: settingsView },
        },
      },
      async (request, reply) => {
        const view = await settings.update(request.body, request.act)
        return reply.header('etag', etagOf(view.version)).send(render(view))
      },
    )
  }
}

function render(view: SettingsView) {
  return { ...view.settings, ...datesOf(view) }
}
