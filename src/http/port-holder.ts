import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { AppError } from '../kernel/errors.ts'

const LISTENS = '0A'

/** What a failure to listen is to the one who starts the server: AppError `conflict` that says who has the port. */
export function explainListenFailure(error: unknown): unknown {
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string }
  if (code !== 'EADDRINUSE' || port === undefined) return error
  const pid = holderOf(port)
  const holder = pid === undefined ? 'another process' : `process ${pid}`
  return new AppError('conflict', `${address}:${port} is in use by ${holder}.`, { cause: error })
}

/** The process that listens on a port, where the system tells (Linux, processes of the same user; proc(5)). */
function holderOf(port: number): string | undefined {
  try {
    const sockets = new Set(
      ['/proc/net/tcp', '/proc/net/tcp6']
        .flatMap(socketsIn)
        .flatMap((socket) => (socket.port === port ? [`socket:[${socket.inode}]`] : [])),
    )
    return readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && holds(pid, sockets))
  } catch {
    return undefined
  }
}

function socketsIn(file: string): { port: number; inode: string }[] {
  return readFileSync(file, 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENS)
    .map((fields) => ({ port: Number.parseInt(fields[1]?.split(':')[1] ?? '', 16), inode: fields[9] ?? '' }))
}

function holds(pid: string, sockets: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`))
      } catch {
        return false
      }
    })
  } catch {
    return false
  }
}
