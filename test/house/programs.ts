import { execFileSync, spawnSync } from 'node:child_process'

/**
 * Sees to it that programs are there: `programs` gives Debian's package of each. As root on Debian they are installed;
 * elsewhere this throws, naming the command that installs them.
 */
export function requirePrograms(programs: Record<string, string>): void {
  const missing = () => Object.keys(programs).filter((name) => spawnSync('which', [name]).status !== 0)
  const packages = () => missing().flatMap((name) => programs[name] ?? [])
  if (missing().length === 0) return
  if (process.getuid?.() === 0 && spawnSync('which', ['apt-get']).status === 0) {
    execFileSync('apt-get', ['update', '--quiet'], { stdio: 'ignore' })
    const parameters = ['install', '--quiet', '--yes', '--no-install-recommends', ...packages()]
    execFileSync('apt-get', parameters, {
      stdio: 'ignore',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  }
  if (missing().length > 0)
    throw new Error(`${missing().join(', ')} cannot be found: apt-get install ${packages().join(' ')}`)
}
