import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../../../kernel/errors.ts'
import { fingerprintsIn, type Source, type SourceDevice } from './source.ts'

/** The names of NanoMDM's file store (its `storage/file`). */
const FILES = {
  authenticate: 'Authenticate.plist',
  tokenUpdate: 'TokenUpdate.plist',
  unlockToken: 'UnlockToken.dat',
  bootstrapToken: 'BootstrapToken.dat',
  certificate: 'Identity.pem',
  fingerprint: 'CertAuth.sha256.txt',
  serialNumber: 'SerialNumber.txt',
  disabled: 'Disabled',
  users: 'SubEnrollments',
} as const
/** In the folder itself: a line `id,sha256` for each certificate that was seen. */
const ASSOCIATIONS = 'CertAuth.txt'

/** A NanoMDM that keeps all in files: a folder for each enrollment. Throws `invalid_request` for a folder that is none. */
export async function fileSource(folder: string): Promise<Source> {
  const entries = await readdir(folder, { withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const known = await Promise.all(folders.map((name) => textIn(path.join(folder, name), FILES.authenticate)))
  // Users have folders of their own, without an Authenticate.
  const ids = folders.filter((_, at) => known[at] !== null).toSorted((a, b) => (a < b ? -1 : 1))
  if (ids.length === 0)
    throw new AppError(
      'invalid_request',
      `This is no file store of NanoMDM: no folder of ${folder} is a device.`,
    )
  const associations = associationsIn((await textIn(folder, ASSOCIATIONS)) ?? '')

  async function readDevice(id: string): Promise<SourceDevice> {
    const at = path.join(folder, id)
    const read = (name: string) => bytesIn(at, name)
    const own = await textIn(at, FILES.fingerprint)
    const users = await readdir(path.join(at, FILES.users)).catch(orNothing<string[]>([]))
    const tokens = await Promise.all(
      users.toSorted().map((name) => enabledToken(path.join(folder, path.basename(name)))),
    )
    return {
      id,
      serialNumber: (await textIn(at, FILES.serialNumber))?.trim() ?? null,
      isEnabled: (await enabledToken(at)) !== null,
      authenticate: await read(FILES.authenticate),
      tokenUpdate: await read(FILES.tokenUpdate),
      unlockToken: await read(FILES.unlockToken),
      bootstrapToken: await read(FILES.bootstrapToken),
      certificatePem: await textIn(at, FILES.certificate),
      fingerprints: fingerprintsIn([...(associations.get(id) ?? []), ...(own === null ? [] : [own])]),
      lastSeenAt: await changedAt(path.join(at, FILES.tokenUpdate)),
      users: tokens.filter((token) => token !== null),
    }
  }

  return {
    count: async () => ids.length,
    async pushCertificates() {
      const names = entries.map(({ name }) => name).filter((name) => name.endsWith('.pem'))
      const pairs = await Promise.all(
        names.map(async (name) => {
          const topic = name.slice(0, -'.pem'.length)
          const key = await textIn(folder, `${topic}.key`)
          return key === null ? [] : [{ topic, pem: `${await textIn(folder, name)}\n${key}` }]
        }),
      )
      return pairs.flat()
    },
    devices: (after, limit) =>
      Promise.all(
        ids
          .filter((id) => id > after)
          .slice(0, limit)
          .map(readDevice),
      ),
  }
}

/** The TokenUpdate of an enrollment; null for one that is not enrolled. */
async function enabledToken(folder: string): Promise<Buffer | null> {
  return (await bytesIn(folder, FILES.disabled)) === null ? bytesIn(folder, FILES.tokenUpdate) : null
}

function associationsIn(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [id = '', fingerprint = ''] = line.split(',')
    found.set(id, [...(found.get(id) ?? []), fingerprint])
  }
  return found
}

function bytesIn(folder: string, name: string): Promise<Buffer | null> {
  return readFile(path.join(folder, name)).catch(orNothing(null))
}

async function textIn(folder: string, name: string): Promise<string | null> {
  return (await bytesIn(folder, name))?.toString('utf8') ?? null
}

async function changedAt(file: string): Promise<Date | null> {
  return (await stat(file).catch(orNothing(null)))?.mtime ?? null
}

/** What stands for a file or folder that is not there. */
function orNothing<T>(nothing: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return nothing
    throw error
  }
}
