import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { openssl } from './openssl.ts'

/** A self-signed certificate for a fixed key of test/fixtures/keys, with the key, both in PEM. */
export function selfSigned(commonName: string, key: 'ca' | 'device' | 'other' | 'ec' = 'other') {
  const keyPem = readFileSync(new URL(`../fixtures/keys/${key}.pem`, import.meta.url), 'utf8')
  const { ok, stderr, files } = openssl(
    [
      'req',
      '-x509',
      '-new',
      '-key',
      'key.pem',
      '-subj',
      `/CN=${commonName}`,
      '-days',
      '30',
      '-out',
      'cert.pem',
    ],
    { 'key.pem': createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'pem' }) },
    ['cert.pem'],
  )
  if (!ok) throw new Error(stderr)
  return { certPem: files['cert.pem'].toString(), keyPem }
}
