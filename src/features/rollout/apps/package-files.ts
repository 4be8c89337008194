import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { AppError } from '../../../kernel/errors.ts'

/** Devices check a package part by part, each so many bytes; Apple's own tools take as much. */
const PART_BYTES = 10 * 1024 * 1024
/** A file that is of no use is left alone so long: it may be one that is on its way. */
const LEFT_ALONE_MS = 60 * 60_000
const SUFFIX = '.ipa'
const INCOMPLETE = '.part'
const NAME = /^([0-9a-f-]{36})\.(?:ipa|part)$/

/** What was written of a package. */
export interface Received {
  size: number
  sha256: Buffer
  part_bytes: number
  /** One after the other. */
  part_sha256s: Buffer
}

/** The packages on disk. */
export type PackageFiles = ReturnType<typeof createPackageFiles>

/**
 * Packages as files, in a folder of this installation below `dataDir`, made with the first of them: another installation that
 * has the same data folder leaves them alone. All processes of one database need the same folder.
 */
export function createPackageFiles({ dataDir, instanceId }: { dataDir: string; instanceId: string }) {
  const folder = path.join(dataDir, 'packages', instanceId)
  const fileOf = (id: string) => path.join(folder, id + SUFFIX)
  const incomplete = (id: string) => path.join(folder, id + INCOMPLETE)

  return {
    /**
     * Writes what comes, of at most `limit` bytes, to an incomplete file and has it on the disk before it answers. What breaks
     * off leaves nothing. Throws AppError `payload_too_large` and `invalid_request`.
     */
    async receive(id: string, body: Readable, limit: number): Promise<Received & { path: string }> {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const file = incomplete(id)
      const handle = await open(file, 'wx', 0o600)
      try {
        const received = await write(handle, body, limit)
        await handle.sync()
        await handle.close()
        return { ...received, path: file }
      } catch (error) {
        await handle.close().catch(() => undefined)
        await rm(file, { force: true })
        throw error
      }
    },
    /** Makes a received file that of the package `target`, in the place of the one it has. */
    async complete(id: string, target = id): Promise<void> {
      await rename(incomplete(id), fileOf(target))
      await syncFolder(folder)
    },
    /** Removes an incomplete file. */
    discard: (id: string): Promise<void> => rm(incomplete(id), { force: true }),
    /** Removes the file of a package, complete or not. */
    async remove(id: string): Promise<void> {
      await rm(incomplete(id), { force: true })
      await rm(fileOf(id), { force: true })
    },
    /** The file of a package, open for reading; undefined when it is not there, or not as long as it must be. */
    async open(id: string, size: number): Promise<FileHandle | undefined> {
      const handle = await open(fileOf(id), 'r').catch(undefinedIfMissing)
      if (handle === undefined || (await handle.stat()).size === size) return handle
      await handle.close()
      return undefined
    },
    /** Removes files an hour old that `used` does not name; what a killed process left goes with them. Gives their number. */
    async sweep(now: Date, used: (ids: string[]) => Promise<ReadonlySet<string>>): Promise<number> {
      const names = (await readdir(folder).catch(undefinedIfMissing)) ?? []
      const old: { id: string; file: string }[] = []
      for (const name of names) {
        const [, id] = NAME.exec(name) ?? []
        if (id === undefined) continue
        const file = path.join(folder, name)
        const found = await stat(file).catch(undefinedIfMissing)
        if (found === undefined || now.getTime() - found.mtimeMs < LEFT_ALONE_MS) continue
        old.push({ id: name.endsWith(INCOMPLETE) ? '' : id, file })
      }
      const kept = await used(old.map(({ id }) => id).filter((id) => id !== ''))
      const gone = old.filter(({ id }) => !kept.has(id))
      for (const { file } of gone) await rm(file, { force: true })
      return gone.length
    },
  }
}

async function write(handle: FileHandle, body: Readable, limit: number): Promise<Received> {
  const whole = createHash('sha256')
  const parts: Buffer[] = []
  let part = createHash('sha256')
  let [size, inPart] = [0, 0]
  for await (const chunk of piecesOf(body)) {
    size += chunk.length
    if (size > limit) throw tooLarge(limit)
    whole.update(chunk)
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + PART_BYTES - inPart)
      part.update(piece)
      at += piece.length
      inPart += piece.length
      if (inPart < PART_BYTES) continue
      parts.push(part.digest())
      part = createHash('sha256')
      inPart = 0
    }
    await handle.writeFile(chunk)
  }
  if (inPart > 0) parts.push(part.digest())
  return { size, sha256: whole.digest(), part_bytes: PART_BYTES, part_sha256s: Buffer.concat(parts) }
}

/** The body piece by piece; what breaks off is its sender's doing. */
async function* piecesOf(body: Readable): AsyncGenerator<Buffer> {
  try {
    // The rest of a body that is refused is left to the connection.
    for await (const chunk of body.iterator({ destroyOnReturn: false })) yield chunk as Buffer
  } catch (error) {
    throw error instanceof AppError
      ? error
      : new AppError('invalid_request', 'The upload broke off.', { cause: error })
  }
}

/** The refusal of a package over the limit. */
export function tooLarge(limit: number): AppError {
  return new AppError(
    'payload_too_large',
    `A package has at most ${limit} bytes (setting package_max_bytes).`,
  )
}

/** So that the new name is there after a power cut, too; not every system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
