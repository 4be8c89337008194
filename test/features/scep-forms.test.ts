import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCsr } from '../../src/protocol/x509/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityServer, type IdentityServer } from '../support/identity-server.ts'
import { testKey } from '../support/keys.ts'
import { momentary, scepRequest } from '../support/scep-client.ts'

describeEachEngine('forms of SCEP that clients use', (database) => {
  let server: IdentityServer
  beforeAll(async () => {
    server = await identityServer(database())
  })
  afterAll(() => server.close())

  test.each(['/scep/', '/scep/pkiclient.exe', '/scep/pkiclient.exe/'])('%s is served too', async (url) => {
    const { rawPayload } = await server.http.main.inject({ url: `${url}?operation=GetCACert` })
    expect(rawPayload).toEqual(server.identity.caCertificate())
  })

  test('MD5 is answered badAlg, in the message and in the request', async () => {
    const { attemptId, challenge } = await server.challengeFor()
    const inMessage = await scepRequest(server, {
      challenge,
      hash: 'sha1',
      tamper: (message) => {
        // Another digest of the same branch, whose identifier is as long: none that is served.
        const at = message.lastIndexOf(Buffer.from('2b0e03021a', 'hex'))
        const changed = Buffer.from(message)
        changed.set(Buffer.from('2b0e030203', 'hex'), at)
        return changed
      },
    })
    expect(inMessage.certRep).toMatchObject({ status: 'FAILURE', failInfo: 'badAlg', transactionId: 'TX-1' })
    const subject = [['CN', 'x']] as const
    const csr = await createCsr({ key: testKey('device'), subject, challengePassword: challenge })
    const at = csr.indexOf(Buffer.from('2a864886f70d01010b', 'hex'))
    csr[at + 8] = 0x04
    const inRequest = await scepRequest(server, { csr, signer: await momentary(testKey('device')) })
    expect(inRequest.certRep).toMatchObject({ status: 'FAILURE', failInfo: 'badAlg' })
    expect(await server.eventsOf(attemptId, 'certificate.refused')).toMatchObject([
      { reason: 'csr_rejected' },
    ])
    expect((await scepRequest(server, { challenge })).certRep?.status).toBe('SUCCESS')
  })
})
