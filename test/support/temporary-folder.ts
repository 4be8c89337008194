import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that is gone when `remove` has been called, or when this process has ended in whatever way. */
export type TemporaryFolder = { path: string; remove(): Promise<void> }

/** Makes a new folder below the system's one for temporary files. */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'firstboot-'))
  return { path, remove: tiedToThisProcess('cat; rm -rf "$1"', [path]) }
}

/**
 * Runs a shell script as a process of its own whose standard input ends with this process, so that it can clean up
 * after one that was killed. The function that is given back ends its input and waits for it.
 */
export function tiedToThisProcess(
  script: string,
  parameters: string[],
  owner?: { uid: number; gid: number },
): () => Promise<void> {
  const child = spawn('sh', ['-c', script, 'sh', ...parameters], {
    ...owner,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => {
      resolve()
    })
  })
  child.unref()
  return async () => {
    child.ref()
    child.stdin.end()
    await ended
  }
}
