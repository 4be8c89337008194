import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Unreachable } from '../../src/cli/client.ts'
import { readSimulateOptions, simulate } from '../../src/cli/simulate.ts'
import { keepApnsFiles } from '../../src/cli/simulator-files.ts'
import type { ApiCall } from '../../src/cli/client.ts'
import { useStage } from '../simulator/enrolled.ts'

const stage = useStage()
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'simulate-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Runs a simulation until its devices have tried to enrol. */
async function simulated(
  given: Record<string, unknown>,
  api: (call: ApiCall) => unknown = () => expect.unreachable('no call is needed'),
): Promise<{ code: number; text: string }> {
  const stop = new AbortController()
  let text = ''
  const code = await simulate({
    url: stage.server.url,
    api: async (call) => api(call),
    options: readSimulateOptions({ devices: 2, folder, apns_port: 0, ...given }),
    signal: stop.signal,
    pollMs: 1,
    write(line) {
      text += line
      if (line.includes('devices are enrolled')) stop.abort()
    },
  })
  return { code, text }
}

test('devices enrol through a link, and a good server gets a good report', async () => {
  const { code, text } = await simulated({ link: [`${stage.server.url}/profile`] })
  expect(text).toContain(`FIRSTBOOT_APNS_CA_FILE=${path.join(folder, 'apns-ca.pem')}`)
  expect(text).toContain('2 of 2 devices are enrolled.')
  expect(text).toContain('No violation of the protocol.')
  expect(code).toBe(0)
})

test('a server that breaks the protocol is told so, and the exit code is 1', async () => {
  stage.server.script.set('Authenticate', [{ status: 401 }])
  const { code, text } = await simulated({ link: [`${stage.server.url}/profile`] })
  expect(text).toContain('1 of 2 devices are enrolled.')
  expect(text).toMatch(/unauthorized +F\w{9} +Authenticate was answered with 401/)
  expect(text).toContain('authenticate: the server does not know the device')
  expect(code).toBe(1)
})

test('it waits for the server, gives it the push certificate, and makes a link', async () => {
  const calls: string[] = []
  let tries = 0
  const { code, text } = await simulated({ setup: true }, ({ method, path: url, body }) => {
    if (tries++ === 0) throw new Unreachable('nobody there')
    calls.push(`${method} ${url}`)
    if (method === 'PUT') expect(String(body as Buffer)).toContain('PRIVATE KEY')
    return method === 'POST' ? { url: `${stage.server.url}/profile` } : { items: [] }
  })
  expect(calls).toEqual(['GET /push-certificates', 'PUT /push-certificates', 'POST /enrollment-links'])
  expect(text).toContain('Waiting for the server: nobody there')
  expect(code).toBe(0)
})

test('the certificates of the fake are made once, their keys for nobody else to read', async () => {
  const first = await keepApnsFiles(folder, new Date())
  const ca = await readFile(first.caFile, 'utf8')
  const again = await keepApnsFiles(folder, new Date())
  expect(again.certificates.ca).toBe(ca)
  expect(again.certificates.server.key).toContain('BEGIN PRIVATE KEY')
  expect((await stat(again.pushCertificateFile)).mode & 0o777).toBe(0o600)
  expect(await readFile(again.pushCertificateFile, 'utf8')).toMatch(/CERTIFICATE-+\n-+BEGIN PRIVATE KEY/)
})

test('a fake of Automated Device Enrollment goes along, with the CA of its phones', async () => {
  const stop = new AbortController()
  let text = ''
  let told: Promise<unknown> | undefined
  const code = await simulate({
    url: stage.server.url,
    api: () => expect.unreachable('no call is needed'),
    options: readSimulateOptions({ folder, apns_port: 0, apns_only: true, ade: true, ade_port: 0 }),
    signal: stop.signal,
    write(line) {
      text += line
      const [url] = /http:\/\/[\d.:]+(?=\/portal\/servers\?)/.exec(line) ?? []
      if (url === undefined) return
      told = fetch(`${url}/portal/devices/F0/power-on`, { method: 'POST' })
        .then((answer) => answer.json())
        .finally(() => stop.abort())
    },
  })
  expect(await told).toMatchObject({ outcome: 'unmanaged', serial_number: 'F0' })
  const caFile = path.join(folder, 'device-ca.pem')
  expect(text).toContain(`FIRSTBOOT_MACHINE_INFO_CA_FILE=${caFile}`)
  expect(await readFile(caFile, 'utf8')).toContain('BEGIN CERTIFICATE')
  expect(text).toContain('No violation of the protocol.')
  expect(code).toBe(0)
})
