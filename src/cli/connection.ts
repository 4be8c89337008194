import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Env } from '../config/env.ts'
import type { CommonOptions } from './arguments.ts'
import { createApiClient, type ApiClient } from './client.ts'
import { UsageError } from './verb.ts'

const DEFAULT_URL = 'http://127.0.0.1:8080'
const DEFAULT_DATA_DIR = './firstboot-data'

/** Where the server is, and a client for it. */
interface Connection {
  url: string
  api: ApiClient
}

/** No token is given, and the file that would hold one is not there (yet: the server makes it at its first start). */
export class NoToken extends UsageError {}

/** Finds the address, and at the first call the token: options, then the environment, then the defaults. */
export function connect(common: CommonOptions, env: Env['values']): Connection {
  const url = common.url ?? env.FIRSTBOOT_URL ?? DEFAULT_URL
  const web = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol)
  if (!web) throw new UsageError(`--url: ${JSON.stringify(url)} is not an http or https address`)
  if (common.token !== undefined && common.tokenFile !== undefined) {
    throw new UsageError('--token and --token-file do not go together')
  }
  let token: string | undefined
  return {
    url,
    async api(call) {
      token ??= await findToken(common, env)
      return createApiClient({ url, token })(call)
    },
  }
}

async function findToken(common: CommonOptions, env: Env['values']): Promise<string> {
  const given = common.token ?? (common.tokenFile === undefined ? env.FIRSTBOOT_TOKEN : undefined)
  if (given !== undefined) return given
  const file = common.tokenFile ?? path.join(env.FIRSTBOOT_DATA_DIR ?? DEFAULT_DATA_DIR, 'admin-token')
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch {
    throw new NoToken(
      `there is no API token: ${file} cannot be read, and neither --token nor FIRSTBOOT_TOKEN is given`,
    )
  }
}
