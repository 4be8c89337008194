import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, test, expect } from 'vitest'
import { createApnsSession } from '../../../src/protocol/apns/index.ts'
import {
  createApnsCertificates,
  type ApnsCertificates,
} from '../../../src/simulator/push-service/certificates.ts'
import { manualClock } from '../../support/manual-clock.ts'

/** A TLS server of openssl that takes only client certificates of its CA and says so with an alert. */
async function startOpenssl(certificates: ApnsCertificates, version: '-tls1_2' | '-tls1_3'): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'firstboot-openssl-'))
  writeFileSync(join(folder, 'ca.pem'), certificates.ca)
  writeFileSync(join(folder, 'cert.pem'), certificates.server.certificate)
  writeFileSync(join(folder, 'key.pem'), certificates.server.key)
  const options =
    '-accept 127.0.0.1:0 -cert cert.pem -key key.pem -CAfile ca.pem -Verify 2 -verify_return_error -alpn h2'
  const server = spawn('openssl', ['s_server', ...options.split(' '), version], { cwd: folder })
  onTestFinished(() => {
    server.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  let text = ''
  for await (const chunk of server.stdout) {
    text += String(chunk)
    const port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(text)?.[1]
    if (port !== undefined) return `https://127.0.0.1:${port}`
  }
  throw new Error('openssl did not start')
}

test.each(['-tls1_2', '-tls1_3'] as const)(
  'a certificate refused by an alert (%s) stops its topic',
  async (version) => {
    const certificates = await createApnsCertificates(new Date())
    const foreign = await (
      await createApnsCertificates(new Date())
    ).pushCertificate('com.apple.mgmt.External.x')
    const origin = await startOpenssl(certificates, version)
    const { certificate, key } = foreign
    const session = createApnsSession({
      origin,
      ca: certificates.ca,
      certificate,
      privateKey: key,
      clock: manualClock(),
    })
    const outcome = await session.push({
      token: Buffer.from('aa', 'hex'),
      pushMagic: 'magic',
      topic: 'com.apple.mgmt.External.x',
      expiresAt: new Date(),
    })
    expect(outcome).toMatchObject({
      action: 'config_error',
      reason: expect.stringMatching(/ALERT_UNKNOWN_CA$/),
    })
  },
)
