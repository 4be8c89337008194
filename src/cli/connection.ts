import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Env } from '../config/env.ts'
import { readInputFile, type CommonOptions } from './arguments.ts'
import { createApiClient, type ApiClient } from './client.ts'
import { readServers, serversFile, type StoredServer } from './servers.ts'
import { UsageError } from './verb.ts'

const DEFAULT_URL = 'http://127.0.0.1:8080'
const DEFAULT_DATA_DIR = './firstboot-data'

/** Where the server is, and a client for it. */
export interface Connection {
  url: string
  token: () => Promise<string>
  api: ApiClient
}

/** No token is given, and the file that would hold one is not there (yet: the server makes it at its first start). */
export class NoToken extends UsageError {}

/**
 * Finds the address, and at the first call the token: options, then the server that `--login` names, then the environment, then
 * the server of the last login, then the defaults. A stored token goes to its own server alone.
 */
export async function connect(common: CommonOptions, env: Env['values'], home: string): Promise<Connection> {
  if (common.token !== undefined && common.tokenFile !== undefined) {
    throw new UsageError('--token and --token-file do not go together')
  }
  const stored = await storedServer(common, env, home)
  const url = common.url ?? stored?.url ?? env.FIRSTBOOT_URL ?? DEFAULT_URL
  const web = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol)
  if (!web) throw new UsageError(`--url: ${JSON.stringify(url)} is not an http or https address`)
  let found: Promise<string> | undefined
  const token = () => (found ??= findToken(common, env, stored))
  return { url, token, api: async (call) => createApiClient({ url, token: await token() })(call) }
}

/** The server of a login that is meant; undefined where something else says which one is. */
async function storedServer(
  { login, url, token, tokenFile }: CommonOptions,
  env: Env['values'],
  home: string,
): Promise<StoredServer | undefined> {
  const isGiven = url !== undefined || token !== undefined || tokenFile !== undefined
  if (login !== undefined && isGiven)
    throw new UsageError('--login goes together with no other address or token')
  if (isGiven || (login === undefined && (env.FIRSTBOOT_URL ?? env.FIRSTBOOT_TOKEN) !== undefined))
    return undefined
  const { current, servers } = await readServers(serversFile(home))
  const name = login ?? current
  if (name !== null && Object.hasOwn(servers, name)) return servers[name]
  if (login === undefined) return undefined
  const known = Object.keys(servers)
  throw new UsageError(
    `nobody has logged in to a server ${JSON.stringify(login)}${known.length === 0 ? '' : `, but to ${known.join(', ')}`}: firstboot login ${login} --url URL`,
  )
}

async function findToken(
  common: CommonOptions,
  env: Env['values'],
  stored: StoredServer | undefined,
): Promise<string> {
  if (stored !== undefined) return stored.token
  const given = common.token ?? (common.tokenFile === undefined ? env.FIRSTBOOT_TOKEN : undefined)
  if (given !== undefined) return given
  const file = common.tokenFile ?? path.join(env.FIRSTBOOT_DATA_DIR ?? DEFAULT_DATA_DIR, 'admin-token')
  if (common.tokenFile === '-') return (await readInputFile('-', '--token-file')).toString().trim()
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch {
    throw new NoToken(
      `there is no API token: ${file} cannot be read, and neither --token nor FIRSTBOOT_TOKEN is given`,
    )
  }
}
