import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../kernel/errors.ts'

/**
 * Takes the folder of an embedded database for this process alone and gives the function that frees it. The lock is
 * an exclusive transaction on the SQLite file `<folder>.lock`: the operating system frees it when the process ends,
 * however it ends, and refuses it within one process too. Throws AppError `conflict` when it is taken.
 */
export function lockFolder(folder: string): () => void {
  const lock = new DatabaseSync(`${folder}.lock`)
  try {
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = memory')
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw new AppError('conflict', 'the data folder is in use by another process', { cause })
  }
  return () => {
    lock.close()
  }
}
