import type { Clock } from '../../kernel/clock.ts'
import { type FairQueue, type Turn, createFairQueue } from '../../kernel/fair-queue.ts'
import { type HttpClient, createHttpClient } from '../../kernel/http-client.ts'
import { checkPassword, discoverEndpoint } from '../../protocol/wstrust/index.ts'
import type { Discovery, PasswordResult } from '../../protocol/wstrust/index.ts'
import type { Proof } from './local.ts'
import type { WsTrustSource } from './sources/types.ts'

/** A phone that waits longer gives up. */
const TIMEOUT_MS = 10_000
/** MEX documents of AD FS have about 300 kB. */
const MAX_ANSWER_BYTES = 2 * 1024 * 1024
/** What a MEX document says is asked again after this. */
const ENDPOINT_MS = 10 * 60_000
const MAX_DIRECTORIES = 100
/** Requests to one directory at once, and what may wait for it: one that never answers delays no other. */
const LIMITS = { width: 64, perLane: 64, maxWaiting: 2_000, maxPerLane: 1_000 }

type Directory = {
  version: number
  http: HttpClient
  queue: FairQueue
  endpoint?: { found: Promise<Discovery>; until: number }
}

/** What a directory says of a password, and where it was asked: undefined when the endpoint was not found. */
export type DirectoryAnswer = Proof<PasswordResult> & { endpoint: string | undefined }

/** The way to directories that speak WS-Trust, with the connections and the endpoint kept for each. */
export function createDirectories(deps: { clock: Clock; userAgent: string }) {
  const { clock, userAgent } = deps
  const directories = new Map<string, Directory>()

  function directoryOf({ id, version, ca_pem: caPem }: WsTrustSource): Directory {
    const known = directories.get(id)
    if (known?.version === version) return known
    const trust = caPem === null ? {} : { caPem }
    const http = createHttpClient({
      ...trust,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_ANSWER_BYTES,
      userAgent,
      clock,
    })
    // The old connections close by themselves when they are idle; requests on them may still run.
    directories.delete(id)
    const made = { version, http, queue: known?.queue ?? createFairQueue({ ...LIMITS, clock }) }
    directories.set(id, made)
    const [oldest] = directories.keys()
    if (directories.size > MAX_DIRECTORIES && oldest !== undefined) directories.delete(oldest)
    return made
  }

  /** Asked once for all who wait for it. */
  function endpointOf(source: WsTrustSource, directory: Directory): Promise<Discovery> {
    const now = clock.now().getTime()
    if (directory.endpoint !== undefined && directory.endpoint.until > now) return directory.endpoint.found
    const found = discoverEndpoint({ url: source.url, http: directory.http })
    const endpoint = { found, until: now + ENDPOINT_MS }
    directory.endpoint = endpoint
    const forget = () => {
      if (directory.endpoint === endpoint) delete directory.endpoint
    }
    found.then(({ ok }) => ok || forget(), forget)
    return found
  }

  async function ask(
    source: WsTrustSource,
    directory: Directory,
    credentials: { userName: string; password: string },
  ): Promise<DirectoryAnswer> {
    const found = await endpointOf(source, directory)
    if (!found.ok) return { endpoint: undefined, isRight: undefined, result: found }
    const { endpoint } = found
    const { http } = directory
    const result = await checkPassword({
      endpoint,
      appliesTo: source.applies_to,
      ...credentials,
      http,
      clock,
    })
    if (result.ok) return { endpoint, isRight: true, result }
    // It may have moved; the next one looks.
    if (result.reason === 'directory_unavailable') delete directory.endpoint
    const isWrong = result.reason === 'invalid_credentials' || result.reason === 'user_unknown'
    return { endpoint, isRight: isWrong ? false : undefined, result }
  }

  return {
    /** Asks once, when its turn comes. With `afresh`, what was known of the endpoint does not count. */
    async check(
      source: WsTrustSource,
      credentials: { userName: string; password: string },
      turn: Turn,
      { afresh = false } = {},
    ): Promise<DirectoryAnswer> {
      const directory = directoryOf(source)
      if (afresh) delete directory.endpoint
      return directory.queue.run(turn, () => ask(source, directory, credentials))
    },
    /** Closes the kept connections. */
    close(): void {
      for (const { http } of directories.values()) http.close()
      directories.clear()
    },
  }
}
