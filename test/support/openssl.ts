import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What openssl said; `ok` when it left with 0. */
export interface OpensslResult {
  ok: boolean
  stdout: Buffer
  stderr: string
}

/**
 * Runs openssl in an empty folder that holds the given files, and takes the named outputs along.
 */
export function openssl<Output extends string = never>(
  args: readonly string[],
  files: Readonly<Record<string, Uint8Array | string>> = {},
  outputs: readonly Output[] = [],
): OpensslResult & { files: Record<Output, Buffer> } {
  const folder = mkdtempSync(join(tmpdir(), 'firstboot-openssl-'))
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: folder })
    const ok = status === 0
    const taken = outputs.map((name) => [name, ok ? readFileSync(join(folder, name)) : Buffer.alloc(0)])
    return {
      ok,
      stdout,
      stderr: stderr.toString(),
      files: Object.fromEntries(taken) as Record<Output, Buffer>,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
