import type { KeyObject } from 'node:crypto'
import { createLeaf, generateEcKey, validity, writePem } from '../../protocol/x509/index.ts'

/** A look-alike of the CA that gives Apple's devices their identity in the factory. It says in its name that it is none of Apple's. */
export type FakeAppleCa = Awaited<ReturnType<typeof createFakeAppleCa>>

const OWNER = [
  ['C', 'CH'],
  ['O', 'Firstboot simulator, not Apple'],
] as const
const DEVICE_CA_DAYS = 3_650
const LONG_AGO = { notBefore: new Date('2007-04-16T00:00:00Z'), notAfter: new Date('2014-04-16T00:00:00Z') }

/** A CA with new keys. `expired`: the CA ran out years ago, as Apple's own did. */
export async function createFakeAppleCa(now: Date, options: { expired?: boolean } = {}) {
  const dates = (expired = false) => (expired ? LONG_AGO : validity(now, DEVICE_CA_DAYS))
  const isCa = { keyUsage: ['keyCertSign', 'cRLSign'], ca: {} } as const
  const root = await createLeaf({
    subject: [...OWNER, ['CN', 'Fake Apple Root CA']],
    ...validity(now, DEVICE_CA_DAYS),
    ...isCa,
    key: await generateEcKey(),
  })
  const ca = await createLeaf({
    subject: [...OWNER, ['OU', 'Fake Apple iPhone'], ['CN', 'Fake Apple iPhone Device CA']],
    ...dates(options.expired),
    ...isCa,
    issuer: root,
    key: await generateEcKey(),
  })
  return {
    /** PEM of the CA that signs, what FIRSTBOOT_MACHINE_INFO_CA_FILE would hold. */
    pem: writePem('CERTIFICATE', ca.certificate.der),
    /** From the CA that signs to the root. */
    chain: [ca.certificate, root.certificate] as const,
    /** The identity of a device; `expired`: one of long ago. A new key on P-256 unless given one. */
    deviceIdentity: async (
      serialNumber: string,
      { key, expired }: { key?: KeyObject; expired?: boolean } = {},
    ) =>
      createLeaf({
        subject: [...OWNER, ['CN', `Fake device ${serialNumber}`]],
        ...dates(expired),
        keyUsage: ['digitalSignature'],
        issuer: ca,
        key: key ?? (await generateEcKey()),
      }),
  }
}
