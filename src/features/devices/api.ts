import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from 'typebox'
import type { Db } from '../../db/index.ts'
import { AppError } from '../../kernel/errors.ts'
import { decodeCursor, encodeCursor, page, pageOf, pageQuery } from '../../kernel/paging.ts'
import { idParam, searchQuery, timesQuery } from '../../kernel/schema.ts'
import { eventSchema, renderEvent, type Events } from '../events/index.ts'
import type { Devices } from './devices.ts'
import type { Users } from '../users/index.ts'
import type { Enrollment } from './store.ts'
import { deviceSchema, detailSchema, renderDevice } from './view.ts'

const TAGS = ['Devices']
const params = idParam('The id of the device (an enrollment id).')
const told = Type.Unknown({ title: 'InventoryItem', description: 'One entry of a list, in Apple’s names.' })

const only = (what: string) =>
  Type.Optional(Type.String({ maxLength: 256, description: `Only those ${what}.` }))

const whether = (what: string) => Type.Optional(Type.Boolean({ description: `Only those ${what}.` }))

const filters = {
  state: Type.Optional(Type.Enum(['enrolled', 'unenrolled'], { description: 'Only those of this state.' })),
  type: Type.Optional(
    Type.Enum(['device', 'user', 'shared_ipad_user', 'user_enrollment_device', 'user_enrollment_user'], {
      description: 'Only channels of this kind.',
    }),
  ),
  serial_number: only('with this serial number'),
  udid: only('with this UDID'),
  user_name: only('of this user'),
  policy_id: only('of this policy'),
  identifier: only('with this IMEI, MEID, ICCID, EID, phone number, or Wi-Fi, Bluetooth or Ethernet address'),
  app: only('on which the app with this bundle identifier is installed'),
  profile: only('on which a profile with this identifier is'),
  lost_mode: whether('that are, or are not, in lost mode'),
  passcode_present: whether('that told that they have, or do not have, a passcode'),
  file_vault_enabled: whether('that told that FileVault is, or is not, on'),
  activation_lock_enabled: whether('that told that Activation Lock is, or is not, on'),
  cloud_backup_enabled: whether('that told that iCloud Backup is, or is not, on'),
}

type App = Parameters<FastifyPluginAsyncTypebox>[0]

interface Deps {
  db: Db
  devices: Devices
  users: Pick<Users, 'findByName' | 'namesOf'>
  events: Events
}

/** `/devices`: enrollments with what they said of themselves. */
export function devicesApi(deps: Deps): FastifyPluginAsyncTypebox {
  return async (app) => {
    list(app, deps)
    one(app, deps)
    timeline(app, deps)
    inventoryLists(app, deps)
  }
}

function list(app: App, deps: Deps): void {
  const { db, devices, users } = deps
  app.get(
    '/devices',
    {
      config: { role: 'viewer' },
      schema: {
        tags: TAGS,
        summary: 'Enrollments, device and user channels alike',
        description: 'In the order of their ids; those that have ended too.',
        querystring: Type.Object({ ...filters, ...searchQuery, ...timesQuery('seen last'), ...pageQuery }),
        response: { 200: pageOf(deviceSchema) },
      },
    },
    async (request) => {
      const { limit, cursor, user_name, ...wanted } = request.query
      const user = user_name === undefined ? undefined : await users.findByName(db.kysely, user_name)
      if (user_name !== undefined && user === undefined) return { items: [], next_cursor: null }
      const [after] = decodeCursor(cursor, ['string']) ?? []
      const rows = await devices.listDevices(db.kysely, {
        ...wanted,
        ...(user !== undefined && { user_id: user.id }),
        ...(after !== undefined && { after }),
        limit: limit + 1,
      })
      const { items, next_cursor } = page(rows, limit, (row) => [row.id])
      return { items: items.map(await renderer(deps, items)), next_cursor }
    },
  )
}

function one(app: App, deps: Deps): void {
  const { db, devices } = deps
  app.get(
    '/devices/:id',
    {
      config: { role: 'viewer' },
      schema: {
        tags: TAGS,
        summary: 'A device with its inventory',
        description: 'Long lists (profiles, apps, certificates) have addresses of their own.',
        params,
        response: { 200: detailSchema },
      },
    },
    async (request) => {
      const device = await known(deps, request.params.id)
      const [information, security, restrictions, facts] = await Promise.all([
        devices.inventory(device.id, 'device_information'),
        devices.inventory(device.id, 'security_info'),
        devices.inventory(device.id, 'restrictions'),
        devices.facts(device.id),
      ])
      const render = await renderer(deps, [device])
      return {
        ...render(device),
        user_channels: await devices.userChannelIds(db.kysely, device.id),
        facts: facts && { ...facts.facts, updated_at: facts.updated_at.toISOString() },
        inventory: {
          device_information: renderAnswer(information),
          security_info: renderAnswer(security),
          restrictions: renderAnswer(restrictions),
        },
      }
    },
  )
}

/** What is said of a list that belongs to one device. */
function listOf<T extends TSchema & { title?: string }>(item: T, summary: string, description: string) {
  const [querystring, response] = [Type.Object(pageQuery), { 200: pageOf(item) }]
  return { tags: TAGS, summary, description, params, querystring, response }
}

function timeline(app: App, deps: Deps): void {
  app.get(
    '/devices/:id/timeline',
    {
      config: { role: 'viewer' },
      schema: listOf(
        eventSchema,
        'What happened to a device, oldest first',
        'Its events and those of the attempt by which it enrolled.',
      ),
    },
    async (request) => {
      const device = await known(deps, request.params.id)
      const { limit, cursor } = request.query
      const [after] = decodeCursor(cursor, ['number']) ?? []
      const rows = await deps.events.list({
        ...(after !== undefined && { after }),
        device: { enrollmentId: device.id, attemptId: device.attempt_id },
        limit: limit + 1,
      })
      const { items, next_cursor } = page(rows, limit, (row) => [row.id])
      return { items: items.map(renderEvent), next_cursor }
    },
  )
}

function inventoryLists(app: App, deps: Deps): void {
  for (const [url, kind, summary] of [
    ['profiles', 'profiles', 'The profiles on a device, as it last told'],
    ['apps', 'installed_applications', 'The apps on a device, as it last told'],
    ['certificates', 'certificates', 'The certificates on a device, as it last told'],
  ] as const)
    app.get(
      `/devices/:id/${url}`,
      {
        config: { role: 'viewer' },
        schema: listOf(told, summary, 'Empty until the device has been asked and has answered.'),
      },
      async (request) => {
        const device = await known(deps, request.params.id)
        const { limit, cursor } = request.query
        const offset = Math.max(0, decodeCursor(cursor, ['number'])?.[0] ?? 0)
        const { items, more } = await deps.devices.inventoryPage(device.id, kind, { offset, limit })
        return { items, next_cursor: more ? encodeCursor([offset + limit]) : null }
      },
    )
}

async function known({ db, devices }: Deps, id: string): Promise<Enrollment> {
  const device = await devices.findEnrollment(db.kysely, id)
  if (!device) throw new AppError('not_found', `There is no device ${id}.`)
  return device
}

/** Gives what shows one of these rows, with the name of its user. */
async function renderer({ db, users }: Deps, rows: readonly Enrollment[]) {
  const ids = rows.flatMap((row) => row.user_id ?? [])
  const names = await users.namesOf(db.kysely, [...new Set(ids)])
  return (row: Enrollment) => renderDevice(row, names.get(row.user_id ?? '') ?? null)
}

function renderAnswer(answer: { items: unknown; received_at: Date } | null) {
  return answer && { received_at: answer.received_at.toISOString(), answers: answer.items }
}
