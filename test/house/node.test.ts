import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

type Manifest = {
  license: string
  engines: { node: string }
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  optionalDependencies: Record<string, string>
}
type LockedPackage = {
  version?: string
  resolved?: string
  integrity?: string
  hasInstallScript?: boolean
  dev?: boolean
}

const ROOT = path.resolve(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(path.join(ROOT, name), 'utf8')
const manifest = JSON.parse(read('package.json')) as Manifest
const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }

describe('which Node runs', () => {
  const bundled = new Set(
    Object.entries(manifest.optionalDependencies)
      .filter(([name]) => name.startsWith('node-'))
      .map(([, version]) => version),
  )

  test('every platform gets the same one', () => {
    expect([...bundled]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/)])
  })

  test('this is it, and it is an LTS version', () => {
    expect([...bundled]).toEqual([process.versions.node])
    expect(process.release.lts).toEqual(expect.any(String))
  })

  test('so do the scripts of the package, whatever the system has', () => {
    const version = execFileSync('npm', ['exec', '--', 'node', '--version'], { cwd: ROOT, encoding: 'utf8' })
    expect(version.trim()).toBe(process.version)
  })

  test('types are stripped by default from the oldest version on that is promised', () => {
    expect(manifest.engines).toEqual({ node: '>=22.18' })
    expect(read('src/launcher.ts')).toContain('NEEDED = [22, 18]')
  })
})

describe('what is installed', () => {
  const packages = Object.entries(lock.packages).filter(([name]) => name !== '')

  test('every version is exact', () => {
    const { dependencies, devDependencies, optionalDependencies } = manifest
    const versions = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })

  test('the lock file names no registry and has a checksum for everything', () => {
    expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
    expect(packages.filter(([, { integrity }]) => integrity === undefined).map(([name]) => name)).toEqual([])
  })

  test('nothing has an install script', () => {
    const withScript = packages.filter(([, { hasInstallScript }]) => hasInstallScript)
    expect(withScript.map(([name]) => name)).toEqual([])
  })

  test('the license is MIT', () => {
    expect(manifest.license).toBe('MIT')
    expect(read('LICENSE')).toMatch(/^MIT License\n\nCopyright \(c\) \d{4} Firstboot contributors\n/)
  })
})
