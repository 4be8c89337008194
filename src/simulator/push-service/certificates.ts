import type { KeyObject } from 'node:crypto'
import { OID } from '../../protocol/asn1/index.ts'
import {
  createLeaf,
  generateEcKey,
  keyToPem,
  validity,
  writePem,
  type AlternativeName,
  type Identity,
} from '../../protocol/x509/index.ts'

const PUSH_CERTIFICATE_DAYS = 365

/** A certificate and its key as PEM text. */
export interface PemPair {
  certificate: string
  key: string
}

/** Throw-away certificates for a fake of Apple: its CA, its server, and push certificates that look like Apple's. */
export interface ApnsCertificates {
  ca: string
  server: PemPair
  /** A look-alike of the MDM push certificate for a topic; `from` and `days` say when it is valid. */
  pushCertificate(topic: string, options?: { from?: Date; days?: number; key?: KeyObject }): Promise<PemPair>
}

/** New certificates with new keys, valid from five minutes before `now`. */
export async function createApnsCertificates(now: Date): Promise<ApnsCertificates> {
  const ca = await createLeaf({
    subject: [['CN', 'Firstboot simulator CA']],
    ...validity(now, PUSH_CERTIFICATE_DAYS),
    keyUsage: ['keyCertSign', 'cRLSign'],
    ca: {},
    key: await generateEcKey(),
  })
  const server = await createLeaf({
    subject: [['CN', 'localhost']],
    ...validity(now, PUSH_CERTIFICATE_DAYS),
    extendedKeyUsage: [OID.serverAuth],
    subjectAltNames: LOOPBACK_NAMES,
    issuer: ca,
    key: await generateEcKey(),
  })
  return {
    ca: toPem(ca).certificate,
    server: toPem(server),
    async pushCertificate(topic, { from = now, days = PUSH_CERTIFICATE_DAYS, key } = {}) {
      const name = topic.split('.').at(-1) ?? topic
      const identity = await createLeaf({
        subject: [
          ['UID', topic],
          ['CN', `APSP:${name}`],
          ['C', 'US'],
        ],
        ...validity(from, days),
        extendedKeyUsage: [OID.clientAuth],
        issuer: ca,
        key: key ?? (await generateEcKey()),
      })
      return toPem(identity)
    },
  }
}

const LOOPBACK_NAMES: AlternativeName[] = [
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
]

function toPem({ certificate, key }: Identity): PemPair {
  return { certificate: writePem('CERTIFICATE', certificate.der), key: keyToPem(key) }
}
