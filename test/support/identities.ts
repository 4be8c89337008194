import { createLeaf } from '../../src/protocol/x509/index.ts'
import type { CertificateTemplate, Identity } from '../../src/protocol/x509/index.ts'
import { testKey } from './keys.ts'

/** The validity of the certificates made here. */
export const TEST_VALIDITY = {
  notBefore: new Date('2026-01-01T00:00:00Z'),
  notAfter: new Date('2036-01-01T00:00:00Z'),
}

/** A CA for tests, with a fixed key. */
export async function testCa(template: Partial<CertificateTemplate> = {}): Promise<Identity> {
  return createLeaf({
    subject: [
      ['O', 'Acme'],
      ['CN', 'Test CA'],
    ],
    keyUsage: ['digitalSignature', 'keyEncipherment', 'keyCertSign', 'cRLSign'],
    ca: {},
    key: testKey('ca'),
    ...TEST_VALIDITY,
    ...template,
  })
}

/** A device certificate, issued by `issuer` or self-signed, with a fixed key. */
export async function testDevice(
  issuer?: Identity,
  template: Partial<CertificateTemplate> = {},
  key: Parameters<typeof testKey>[0] = 'device',
): Promise<Identity> {
  return createLeaf({
    subject: [['CN', 'device-1']],
    key: testKey(key),
    ...(issuer && { issuer }),
    ...TEST_VALIDITY,
    ...template,
  })
}
