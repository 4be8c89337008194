import { readFileSync } from 'node:fs'

const LOOK_EVERY_MS = 1_000

/**
 * Calls back once when who started this process has ended. npm starts programs through a shell, and hands over neither the end
 * of its terminal nor its own; so the shell's parent is watched too, where the system tells it (Linux).
 */
export function whenParentEnds(then: () => void): void {
  const parents = ancestors()
  const timer = setInterval(() => {
    if (ancestors() === parents) return
    clearInterval(timer)
    then()
  }, LOOK_EVERY_MS).unref()
}

function ancestors(): string {
  return `${process.ppid} ${parentOf(process.ppid)}`
}

/** proc(5): the fourth field of `stat`, behind a name in brackets that may hold anything. */
function parentOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 1).split(' ')[2] ?? ''
  } catch {
    return ''
  }
}
