import { randomBytes } from 'node:crypto'
import { signMachineInfo } from '../../src/protocol/ade/index.ts'
import {
  OID,
  algorithm,
  bitString,
  childrenOf,
  decodeDer,
  integer,
  nullValue,
  sequence,
  type Element,
} from '../../src/protocol/asn1/index.ts'
import { createLeaf, parseCertificate, validity, type Certificate } from '../../src/protocol/x509/index.ts'

/** A binary property list: a dictionary of texts, and `Bomb` with `depth` arrays of which each names the next one twice. */
export function doublingArrays(texts: Readonly<Record<string, string>>, depth = 20): Buffer {
  const names = [...Object.keys(texts), 'Bomb']
  const values = Object.values(texts)
  const first = 1 + names.length + values.length
  const refs = [...names.keys()].map((n) => 1 + n)
  const arrays = Array.from({ length: depth }, (_, n) =>
    Buffer.from(n === depth - 1 ? [0xa0] : [0xa2, first + n + 1, first + n + 1]),
  )
  const dictionary = [0xd0 + names.length, ...refs, ...values.map((_, n) => 1 + names.length + n), first]
  return binaryPlist([Buffer.from(dictionary), ...[...names, ...values].map(text), ...arrays])
}

/** One whose `Bomb` names a text of 2 KB very many times. */
export function repeatedText(texts: Readonly<Record<string, string>>, times = 12_000): Buffer {
  const names = [...Object.keys(texts), 'Bomb']
  const values = Object.values(texts)
  const bomb = 1 + names.length + values.length
  const refs = [...names.keys()].map((n) => 1 + n)
  const dictionary = [0xd0 + names.length, ...refs, ...values.map((_, n) => 1 + names.length + n), bomb]
  const array = Buffer.concat([Buffer.from([0xaf, ...count(times)]), Buffer.alloc(times, bomb + 1)])
  return binaryPlist([
    Buffer.from(dictionary),
    ...[...names, ...values].map(text),
    array,
    text('x'.repeat(2_000)),
  ])
}

const count = (n: number) => [0x11, n >> 8, n & 0xff]

function text(value: string): Buffer {
  const head = value.length < 15 ? [0x50 + value.length] : [0x5f, ...count(value.length)]
  return Buffer.concat([Buffer.from(head), Buffer.from(value, 'latin1')])
}

/** Fewer than 256 objects, the first of them the root. */
function binaryPlist(objects: readonly Buffer[]): Buffer {
  const head = Buffer.from('bplist00')
  let at = head.length
  const offsets = Buffer.alloc(objects.length * 4)
  objects.forEach((object, n) => {
    offsets.writeUInt32BE(at, n * 4)
    at += object.length
  })
  const trailer = Buffer.alloc(32)
  trailer[6] = 4
  trailer[7] = 1
  trailer.writeUInt32BE(objects.length, 12)
  trailer.writeUInt32BE(at, 28)
  return Buffer.concat([head, ...objects, offsets, trailer])
}

/** MachineInfo of a signer whose issuer may be any of 16 certificates with keys that are slow to check with. */
export async function slowChain(): Promise<Buffer> {
  const dates = validity(new Date(), 3_650)
  const issuer = await createLeaf({
    subject: [['CN', 'Slow CA']],
    ca: {},
    keyUsage: ['keyCertSign'],
    ...dates,
  })
  const leaf = await createLeaf({ subject: [['CN', 'Slow device']], issuer, ...dates })
  const slow = Array.from({ length: 16 }, () => changed(issuer.certificate, { spki: slowKey() }))
  const certificate = { ...parseCertificate(leaf.certificate.der), der: changed(leaf.certificate, {}) }
  return signMachineInfo(
    {
      SERIAL: 'F9SLOW00000',
      UDID: '00008101-000000000000001E',
      PRODUCT: 'iPhone15,2',
      VERSION: '22F76',
      OS_VERSION: '18.5',
      LANGUAGE: 'de',
    },
    { key: leaf.key, certificate },
    { chain: slow.map((der) => ({ ...issuer.certificate, der })) },
  )
}

/** RSA with 8,192 bits and an exponent of 32 bits. Nobody knows its private key, and nobody needs to. */
function slowKey(): Buffer {
  const modulus = Buffer.concat([Buffer.of(0, 0xff), randomBytes(1023)])
  modulus[1024]! |= 1
  const exponent = Buffer.of(0, 0xff, 0xff, 0xff, 0xfb)
  return sequence(
    algorithm(OID.rsaEncryption, nullValue()),
    bitString(sequence(integer(modulus), integer(exponent))),
  )
}

/** A certificate with a signature of 8,192 bits that is none, and with another key where one is given. */
function changed(certificate: Certificate, { spki }: { spki?: Buffer }): Buffer {
  const [body, method] = childrenOf(decodeDer(certificate.der, 'x509_invalid'), 'certificate') as [
    Element,
    Element,
  ]
  const fields = childrenOf(body, 'body').map(({ encoded }) => encoded)
  if (spki !== undefined) {
    fields[1] = integer(Buffer.concat([Buffer.of(1), randomBytes(15)]))
    fields[6] = spki
  }
  return sequence(
    sequence(...fields),
    method.encoded,
    bitString(Buffer.concat([Buffer.of(0), randomBytes(1023)])),
  )
}
