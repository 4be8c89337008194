import { extname } from 'node:path'
import { createThreadPool } from '../../kernel/threads.ts'
import { apart, type UnwrapKey } from './unwrap-key.ts'

/**
 * Threads that decrypt content keys, since node:crypto has no asynchronous `privateDecrypt`. Rejects `overloaded` when too
 * many wait.
 */
export function createKeyUnwrapper(options: { threads: number }): {
  unwrap: UnwrapKey
  close(): Promise<void>
} {
  const script = new URL(`./decrypt-worker${extname(import.meta.filename)}`, import.meta.url)
  const pool = createThreadPool({ script, size: options.threads })
  return {
    unwrap: (request) => pool.run<Uint8Array>({ ...request, encryptedKey: apart(request.encryptedKey) }),
    close: () => pool.close(),
  }
}
