import { statSync } from 'node:fs'
import type { Env } from './env.ts'

/** What group and others may do. */
const OTHERS_MAY = 0o077

/** Whether anybody but its owner may read or change a file or folder, as ssh asks it of keys. Not asked on Windows. */
export function mayOthers(path: string): boolean {
  if (process.platform === 'win32') return false
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && (found.mode & OTHERS_MAY) !== 0
}

/**
 * The folder and the files with keys that others may read, each with the mode that it should have. They are told and not
 * refused, as volumes and mounted secrets often are so; the files with the secret key and the admin token are refused.
 */
export function openToOthers(
  config: { readonly dataDir: string; readonly tls: { readonly keyFile: string } | null },
  env: Env,
): { path: string; chmod: '600' | '700' }[] {
  const keys = [config.tls?.keyFile, env.values.FIRSTBOOT_DEVICE_CA_FILE]
  return [
    { path: config.dataDir, chmod: '700' } as const,
    ...keys.flatMap((path) => (path === undefined ? [] : [{ path, chmod: '600' } as const])),
  ].filter(({ path }) => mayOthers(path))
}
