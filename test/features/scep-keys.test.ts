import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { childrenOf, decodeDer, sequence } from '../../src/protocol/asn1/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityServer, type IdentityServer } from '../support/identity-server.ts'
import { testKey } from '../support/keys.ts'
import { csrAround, MODULUS, rsaSpki } from '../support/rsa-keys.ts'
import { momentary, scepRequest } from '../support/scep-client.ts'

describeEachEngine('keys of certificate requests', (database) => {
  let server: IdentityServer
  beforeAll(async () => {
    server = await identityServer(database())
  })
  afterAll(() => server.close())

  test('keys that everybody can sign with, or that no honest client makes, are csr_rejected', async () => {
    const { attemptId } = await server.challengeFor()
    const signer = await momentary(testKey('device'))
    const huge = rsaSpki((1n << 4160n) + 1n, 65_537n)
    const weak = [rsaSpki(MODULUS, 2n), rsaSpki(MODULUS, 3n), rsaSpki(MODULUS - 1n, 65_537n), huge]
    const small = rsaSpki(MODULUS >> 1n, 65_537n)
    const answers = []
    for (const csr of [signedByAnyone(), ...[...weak, small].map((spki) => csrAround(spki))]) {
      const { certRep } = await scepRequest(server, { csr, signer })
      answers.push([certRep?.status, certRep?.failInfo])
    }
    expect(answers).toEqual(Array.from({ length: 6 }, () => ['FAILURE', 'badRequest']))
    expect(server.logged('certificate.refused', { reason: 'csr_rejected' })).toBe(true)
    expect((await server.attempts.get(attemptId))?.timeline).toEqual([])
  })
})

/** A request for a key with the exponent 1, under which the padded digest is its own signature. */
function signedByAnyone(): Buffer {
  const unsigned = csrAround(rsaSpki(MODULUS, 1n))
  const { content } = childrenOf(decodeDer(unsigned, 'csr_invalid'), 'request')[0]!
  const info = sequence(content)
  const digest = Buffer.concat([
    Buffer.from('3031300d060960864801650304020105000420', 'hex'),
    createHash('sha256').update(info).digest(),
  ])
  const padding = Buffer.alloc(256 - 3 - digest.length, 0xff)
  const signature = Buffer.concat([Buffer.of(0, 1), padding, Buffer.of(0), digest])
  return csrAround(rsaSpki(MODULUS, 1n), signature)
}
