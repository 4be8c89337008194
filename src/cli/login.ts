import type { CommonOptions } from './arguments.ts'
import type { Connection } from './connection.ts'
import { readServers, serversFile, writeServers } from './servers.ts'
import { UsageError, type Verb } from './verb.ts'

const NAME = /^[\w.-]{1,64}$/

/** Keeps the address and the token of a server under a name, once the server has taken the token; gives what is to be said. */
export async function logIn(
  {
    connection,
    common,
    name,
    verb,
  }: { connection: Connection; common: CommonOptions; name: string; verb: Verb },
  home: string,
): Promise<string> {
  if (!NAME.test(name))
    throw new UsageError('the name of a server has letters, digits, dots and dashes, at most 64', verb)
  const file = serversFile(home)
  const { servers } = await readServers(file)
  const isKnown = Object.hasOwn(servers, name)
  const hasToken = common.token !== undefined || common.tokenFile !== undefined
  if (!hasToken && common.url === undefined && isKnown) {
    await writeServers(file, { current: name, servers })
    return `Commands go to ${name} (${servers[name]?.url}) now.\n`
  }
  const token = await connection.token()
  await connection.api({ method: 'GET', path: '/status', query: {} })
  await writeServers(file, { current: name, servers: { ...servers, [name]: { url: connection.url, token } } })
  return `Logged in to ${name} (${connection.url}); the token is in ${file}, for you alone.\n`
}

/** Forgets a server and its token. */
export async function logOut(name: string, home: string): Promise<string> {
  const file = serversFile(home)
  const { current, servers } = await readServers(file)
  if (!Object.hasOwn(servers, name))
    throw new UsageError(`nobody has logged in to a server ${JSON.stringify(name)}`)
  const rest = Object.fromEntries(Object.entries(servers).filter(([other]) => other !== name))
  await writeServers(file, { current: current === name ? null : current, servers: rest })
  return `The token of ${name} is forgotten here; it is good until it is deleted: firstboot api-tokens delete.\n`
}
