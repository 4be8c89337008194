import { extname } from 'node:path'
import type { ThreadPool } from '../../kernel/threads.ts'
import type { IpaFacts } from './info-plist.ts'
import type { IpaTask } from './ipa-worker.ts'
import type { ManifestFacts } from './manifest.ts'

/** The script of the threads that read packages, for `createThreadPool`. */
export const ipaWorkerScript = new URL(`ipa-worker${extname(import.meta.filename)}`, import.meta.url)

/** Reads packages and writes manifests on another thread. */
export type IpaReader = ReturnType<typeof createIpaReader>

/** Makes a reader over threads that run `ipaWorkerScript`. */
export function createIpaReader(threads: Pick<ThreadPool, 'run'>) {
  return {
    /** What the IPA in this file says of its app. Rejects with AppError `package_invalid`. */
    read: (path: string, bytes: number) =>
      threads.run<IpaFacts>({ kind: 'read', path, bytes } satisfies IpaTask),
    /** The manifest of a package, as an XML property list. */
    manifest: (facts: ManifestFacts) => threads.run<string>({ kind: 'manifest', facts } satisfies IpaTask),
  }
}
