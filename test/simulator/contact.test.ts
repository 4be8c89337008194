import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { createLeaf, keyToPem, writePem } from '../../src/protocol/x509/index.ts'
import { createContact } from '../../src/simulator/device/contact.ts'
import { createDeviceHttp } from '../../src/simulator/wire/device-http.ts'
import { testCa, testDevice, TEST_VALIDITY } from '../support/identities.ts'
import { testKey } from '../support/keys.ts'

test('a device may show its certificate in the TLS handshake instead of signing', async () => {
  const ca = await testCa()
  const identity = await testDevice(ca)
  const subjectAltNames = [{ type: 'dns', value: 'localhost' }] as const
  const subject = [['CN', 'localhost']] as const
  const web = await createLeaf({ subject, subjectAltNames, key: testKey('ec'), issuer: ca, ...TEST_VALIDITY })
  const pem = writePem('CERTIFICATE', ca.certificate.der)
  const cert = writePem('CERTIFICATE', web.certificate.der)
  const seen: { certificate: Buffer; signature: unknown }[] = []
  const server = createServer(
    { cert, key: keyToPem(web.key), ca: pem, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const certificate = (request.socket as TLSSocket).getPeerCertificate().raw
      seen.push({ certificate, signature: request.headers['mdm-signature'] })
      response.end()
    },
  )
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const url = `https://localhost:${(server.address() as AddressInfo).port}/mdm`
  const http = createDeviceHttp({ ca: pem })
  const report = () => expect.unreachable('there is nothing to report')
  for (const tls of [true, false]) {
    const present = () => ({ profile: { serverUrl: url, checkInUrl: url }, identity })
    const contact = createContact({ http, present, isMac: false, tls, report })
    const reply = await contact.connect({ Status: 'Idle', UDID: 'x' })
    expect(reply).toMatchObject({ kind: 'ok' })
  }
  expect(seen).toEqual([
    { certificate: identity.certificate.der, signature: undefined },
    { certificate: undefined, signature: expect.stringMatching(/^MII/) as string },
  ])
  http.close()
  server.closeAllConnections()
  server.close()
})
