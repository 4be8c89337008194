import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../kernel/errors.ts'

/**
 * Takes the folder of an embedded database for this process alone and gives the function that frees it. The lock is
 * an exclusive transaction on the SQLite file `<folder>.lock`: the operating system frees it when the process ends,
 * however it ends, and refuses it within one process too. Who has it is written beside it, to be told: AppError `conflict`,
 * with folder and process id.
 */
export function lockFolder(folder: string): () => void {
  const lock = new DatabaseSync(`${folder}.lock`)
  try {
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = memory')
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw new AppError(
      'conflict',
      `The data folder ${resolve(folder, '..')} is in use by ${holderOf(folder)}.`,
      {
        cause,
      },
    )
  }
  writeFileSync(pidFile(folder), `${process.pid}\n`, { mode: 0o600 })
  return () => {
    lock.close()
  }
}

const pidFile = (folder: string) => `${folder}.pid`

function holderOf(folder: string): string {
  try {
    return `process ${Number(readFileSync(pidFile(folder), 'utf8'))}`
  } catch {
    return 'another process'
  }
}
