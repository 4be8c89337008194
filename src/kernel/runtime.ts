import { availableParallelism } from 'node:os'

/** What a program must be told before it starts: variables of its environment, and options of Node. */
export interface Runtime {
  variables: Readonly<Record<string, string>>
  flags: readonly string[]
}

/** Threads of libuv, which do what takes the processor for long: signatures, keys, hashes of passwords. */
export const POOL_THREADS = Math.max(2, Math.min(4, availableParallelism()))

/**
 * How the server is to be started, so that it keeps its memory near what lives in it, and its speed.
 *
 * - V8 lets the young generation grow to 128 MB under load, and the old one to a multiple of what lives in it, and gives little
 *   back. Measured at rest after a load of all kinds: 407 MB resident as V8 likes it, about 200 with these bounds. Half-spaces of
 *   16 MB are as fast as larger ones; 8 MB cost a tenth.
 * - glibc's allocator keeps ever larger pieces for later and gives each thread a store of its own; measured some seconds after
 *   bodies of 15 MB: 205 MB resident instead of 325.
 * - Threads of libuv beyond the processors take the time of the one that serves the requests, each time that it hands a signature
 *   to them: with 4 on 2 processors phones at power-on are served slower by a twelfth.
 */
export const RUNTIME: Runtime = {
  variables: {
    MALLOC_ARENA_MAX: '2',
    MALLOC_MMAP_THRESHOLD_: '131072',
    UV_THREADPOOL_SIZE: String(POOL_THREADS),
  },
  flags: ['--max-semi-space-size=16', '--heap-growing-percent=60'],
}

/**
 * Starts the program anew in the same process, with these variables and options of Node as well as those of `env`; returns when
 * it has them already, or the system cannot do that. What was chosen by whoever started the program stays.
 */
export function restartWith({ variables, flags }: Runtime, env: Readonly<Record<string, string>>): void {
  const { execPath, execArgv, argv } = process
  // A forked child would lose the channel to its parent.
  if (process.platform !== 'linux' || process.channel !== undefined) return
  const chosen = [...execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)].map(nameOf)
  const missing = flags.filter((flag) => !chosen.includes(nameOf(flag)))
  if (missing.length === 0 && Object.keys(variables).every((name) => env[name] !== undefined)) return
  const args = [execPath, ...execArgv, ...missing, ...argv.slice(1)]
  process.execve?.(execPath, args, { ...variables, ...env })
}

/** The name of an option, which Node takes with hyphens and with underscores. */
function nameOf(flag: string): string {
  return (flag.split('=')[0] ?? '').replaceAll('_', '-')
}
