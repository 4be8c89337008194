import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { NodeFS } from '@electric-sql/pglite/nodefs'

/** How the WebAssembly module calls a file operation that its Node file system leaves out. */
type StreamOperations = { fsync?: (stream: { nfd: number }) => number }

/**
 * PGlite's Node file system with an fsync that reaches the disk (its own does nothing, so a power cut would lose
 * acknowledged work). It reaches into the emscripten module, hence the exact version of PGlite.
 */
export class DurableFiles extends NodeFS {
  /** How often the database asked for an fsync. */
  fsyncs = 0

  override async init(...[pg, options]: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(pg, options)
    const preRun = [...(emscriptenOpts.preRun ?? [])]
    preRun.push((module) => {
      const { stream_ops: operations } = module.NODEFS as unknown as { stream_ops: StreamOperations }
      operations.fsync = ({ nfd }) => {
        this.fsyncs += 1
        fsyncSync(nfd)
        return 0
      }
    })
    return { emscriptenOpts: { ...emscriptenOpts, preRun } }
  }
}

/** Writes every file below the folder, and the folders themselves, through to the disk. */
export function fsyncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) fsyncTree(path)
    else fsync(path, 'r+')
  }
  fsyncFolder(folder)
}

/** Writes the entries of a folder through to the disk, so that a rename in it lasts. Windows does that by itself. */
export function fsyncFolder(folder: string): void {
  if (process.platform !== 'win32') fsync(folder, 'r')
}

function fsync(path: string, mode: 'r' | 'r+'): void {
  const file = openSync(path, mode)
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
