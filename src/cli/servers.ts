import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { newSecret } from '../kernel/ids.ts'
import { isRecord, parseRecord } from '../kernel/records.ts'
import { UsageError } from './verb.ts'

/** What group and others may do. */
const OTHERS_MAY = 0o077

/** A server that somebody has logged in to. */
export interface StoredServer {
  url: string
  token: string
}

/** The servers by their names, and the one that is meant where none is named. */
interface Servers {
  current: string | null
  servers: Record<string, StoredServer>
}

/** Where they are kept, below the home folder. */
export function serversFile(home: string): string {
  return path.join(home, '.config', 'firstboot', 'servers.json')
}

/** Reads them; none where there is no file. Throws UsageError for a file that others may read, or that is none of ours. */
export async function readServers(file: string): Promise<Servers> {
  let text: string
  try {
    if (process.platform !== 'win32' && ((await stat(file)).mode & OTHERS_MAY) !== 0)
      throw new UsageError(`${file} holds tokens, and others may read it: chmod 600 ${file}`)
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof UsageError) throw error
    if (isMissing(error)) return { current: null, servers: {} }
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  const { current, servers } = parseRecord(text) ?? {}
  const isRight = (current === null || typeof current === 'string') && isRecord(servers)
  if (!isRight || !Object.values(servers).every(isServer))
    throw new UsageError(`${file} is not what firstboot login writes: delete it, and log in again`)
  return { current, servers: servers as Servers['servers'] }
}

/** Writes them, for their owner alone; a reader finds the former ones or the new ones. */
export async function writeServers(file: string, servers: Servers): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  const beside = `${file}.${newSecret(6)}`
  try {
    await writeFile(beside, `${JSON.stringify(servers, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
    await chmod(beside, 0o600)
    await rename(beside, file)
  } catch (error) {
    await rm(beside, { force: true })
    throw new UsageError(
      `${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function isServer(value: unknown): value is StoredServer {
  return isRecord(value) && typeof value['url'] === 'string' && typeof value['token'] === 'string'
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
