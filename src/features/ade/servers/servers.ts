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

/** Makes them. `removeDevices` takes its devices from a server and says how many those were. */
export function createServers(
  deps: Pick<AdeDeps, 'db' | 'clock' | 'events' | 'secretBox' | 'policies'> & {
    removeDevices: (trx: Tx, serverId: string) => Promise<number>
  },
) {
  const { db, clock, events, secretBox } = deps

  async function change(
    id: string,
    act: Act,
    work: (trx: Tx, before: store.ServerRow) => Promise<store.ServerChange>,
  ): Promise<store.ServerRow> {
    try {
      return await db.transaction(async (trx) => {
        const before = await store.lockServer(trx, id)
        if (before === undefined) throw noServer()
        act.checkVersion(before.version)
        const columns = await work(trx, before)
        const after = await store.changeServer(trx, id, columns, clock.now())
        await events.emit(trx, {
          type: 'ade_server.updated',
          act,
          data: { ade_server_id: id, name: after.name, changed: Object.keys(columns).filter(isTold) },
        })
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
        await events.emit(trx, {
          type: 'ade_server.created',
          act,
          data: { ade_server_id: server.id, name },
        })
        return server
      })
    },
    /** Servers in the order in which they were made. */
    async list(query: { limit: number; cursor?: string }): Promise<Page<store.ServerRow>> {
      const [after] = decodeCursor(query.cursor, ['string']) ?? []
      const rows = await store.listServers(db.kysely, {
        ...(after !== undefined && { after }),
        limit: query.limit + 1,
      })
      return page(rows, query.limit, ({ id }) => [id])
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
      return change(id, act, async () => ({
        staged_certificate: certificate,
        staged_private_key: privateKey,
      }))
    },
    /** The `.pem` that Apple's portal is to be given. */
    async encryptionKey(id: string): Promise<{ pem: string; fileName: string }> {
      const server = await get(id)
      return { pem: encryptionKeyPem(server), fileName: `${fileNameOf(server.name)}.pem` }
    },
    /** Forgets a server. Refuses `conflict` while it has devices, unless forced; these stay here, removed. */
    async remove(id: string, force: boolean, act: Act): Promise<void> {
      await db.transaction(async (trx) => {
        const server = await store.lockServer(trx, id)
        if (server === undefined) throw noServer()
        act.checkVersion(server.version)
        const live = await deps.removeDevices(trx, id)
        if (live > 0 && !force) {
          throw new AppError(
            'conflict',
            `Apple has ${live} devices on this server; move them in Apple's portal first, or force it.`,
          )
        }
        await store.deleteServer(trx, id)
        await events.emit(trx, {
          type: 'ade_server.deleted',
          act,
          data: { ade_server_id: id, name: server.name, devices: live },
        })
      })
    },
  }
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
