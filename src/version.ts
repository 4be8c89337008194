import { readFileSync } from 'node:fs'
import path from 'node:path'

/** The version in the package's description, which lies above the source and, in a built package, one folder higher. */
export const version = readVersion(import.meta.dirname)

function readVersion(folder: string): string {
  try {
    const text = readFileSync(path.join(folder, 'package.json'), 'utf8')
    const { name, version: found } = JSON.parse(text) as { name?: string; version?: string }
    if (name === 'firstboot' && found !== undefined) return found
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const parent = path.dirname(folder)
  if (parent === folder) throw new Error('package.json of firstboot was not found')
  return readVersion(parent)
}
