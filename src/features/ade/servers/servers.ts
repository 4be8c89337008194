import { isUniqueViolation, type Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import { decodeCursor, page, type Page } from '../../../kernel/paging.ts'
import type { AdeDeps } from '../deps.ts'
import { encryptionKeyPem, newTokenKey } from './keys.ts'
import * as store from './store.ts'
import { noServer } from './tokens.ts'

/** ADE servers: entries of Apple's portal whose tokens we hold. */
export type Servers = ReturnType<typeof createServers>

type ServersDeps = Pick<AdeDeps, 'db' | 'clock' | 'events' | 'secretBox' | 'policies'> & {
  /** Takes its devices from a server and says how many those were. */
  removeDevices: (trx: Tx, serverId: string) => Promise<number>
}

/** What administrators do with ADE servers; refuses `not_found`, and `conflict` for a name that is taken. */
export function createServers(deps: ServersDeps) {
  const { db, clock, events, secretBox } = deps

  async function change(
    id: string,
    act: Act,
    work: (trx: Tx, before: store.ServerRow) => Promise<store.ServerChange>,
  ): Promise<store.ServerRow> {
    try {
      return await db.transaction(async (trx) => {
        const before = await lock(trx, id, act)
        const columns = await work(trx, before)
        const after = await store.changeServer(trx, id, columns, clock.now())
        const changed = Object.keys(columns).filter(isTold)
        const data = { ade_server_id: id, name: after.name, changed }
        await events.emit(trx, { type: 'ade_server.updated', act, data })
        return after
      })
    } catch (error) {
      throw isUniqueViolation(error) ? taken() : error
    }
  }

  async function get(id: string): Promise<store.ServerRow> {
    const server = await store.findServer(db.kysely, id)
    if (server === undefined) throw noServer()
    return server
  }

  return {
    get,
    /** Adds a server with a new key for its tokens. */
    async create(name: string, act: Act): Promise<store.ServerRow> {
      const now = clock.now()
      // Making a key takes its time; no transaction is open for that long.
      const { certificate, privateKey } = await newTokenKey({ name, now, secretBox })
      return db.transaction(async (trx) => {
        const row = { id: newId(now), name, certificate, private_key: privateKey }
        const server = await store.insertServer(trx, row, now)
        if (server === undefined) throw taken()
        const data = { ade_server_id: server.id, name }
        await events.emit(trx, { type: 'ade_server.created', act, data })
        return server
      })
    },
    /** Servers in the order in which they were made. */
    async list({ limit, cursor }: { limit: number; cursor?: string }): Promise<Page<store.ServerRow>> {
      const [after] = decodeCursor(cursor, ['string']) ?? []
      const rows = await store.listServers(db.kysely, { after, limit: limit + 1 })
      return page(rows, limit, ({ id }) => [id])
    },
    rename: (id: string, name: string | undefined, act: Act) =>
      change(id, act, async () => (name === undefined ? {} : { name })),
    /** What new serial numbers of the server get; null: nothing. */
    setDefaultPolicy: (id: string, policyId: string | null, act: Act) =>
      change(id, act, async (trx) => {
        if (policyId !== null && (await deps.policies.holdForAde(trx, policyId)) === undefined) {
          throw new AppError('invalid_request', 'There is no enrollment policy with this id.', {
            fields: [{ path: 'policy_id', message: 'there is no such policy' }],
          })
        }
        return { default_policy_id: policyId }
      }),
    /** Makes a new key beside the one in use, which opens tokens until one made for the new key has come. */
    async stageKey(id: string, act: Act): Promise<store.ServerRow> {
      const { name } = await get(id)
      const { certificate, privateKey } = await newTokenKey({ name, now: clock.now(), secretBox })
      const staged = { staged_certificate: certificate, staged_private_key: privateKey }
      return change(id, act, async () => staged)
    },
    /** The `.pem` that Apple's portal is to be given. */
    async encryptionKey(id: string): Promise<{ pem: string; fileName: string }> {
      const server = await get(id)
      return { pem: encryptionKeyPem(server), fileName: `${fileNameOf(server.name)}.pem` }
    },
    /** Forgets a server. Refuses `conflict` while it has devices, unless forced; these stay here, removed. */
    async remove(id: string, force: boolean, act: Act): Promise<void> {
      await db.transaction(async (trx) => {
        const { name } = await lock(trx, id, act)
        const live = await deps.removeDevices(trx, id)
        if (live > 0 && !force) throw hasDevices(live)
        await store.deleteServer(trx, id)
        const data = { ade_server_id: id, name, devices: live }
        await events.emit(trx, { type: 'ade_server.deleted', act, data })
      })
    },
  }
}

async function lock(trx: Tx, id: string, act: Act): Promise<store.ServerRow> {
  const server = await store.lockServer(trx, id)
  if (server === undefined) throw noServer()
  act.checkVersion(server.version)
  return server
}

function hasDevices(count: number): AppError {
  const message = `Apple has ${count} devices on this server; move them in Apple's portal first, or force it.`
  return new AppError('conflict', message)
}

function isTold(column: string): boolean {
  return !column.endsWith('private_key')
}

function taken(): AppError {
  return new AppError('conflict', 'There is an ADE server with this name already.', {
    fields: [{ path: 'name', message: 'is taken' }],
  })
}

/** A name that every file system takes. */
function fileNameOf(name: string): string {
  const words = name.split(/[^A-Za-z0-9._]/).filter((word) => word !== '')
  const text = words.join('-').replace(/^[-.]+/, '')
  return text === '' ? 'firstboot' : text
}
