import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createApnsCertificates, type ApnsCertificates, type PemPair } from '../simulator/index.ts'

/** The fake APNs' certificates, kept in a folder so that a server that knows them need not be told again. */
export interface ApnsFiles {
  certificates: ApnsCertificates
  caFile: string
  /** Certificate and key in one file, as `push-certificates put` takes it. */
  pushCertificateFile: string
}

const TOPIC = 'com.apple.mgmt.External.f1757b00-7000-4000-8000-000000000001'
const PRIVATE = { mode: 0o600 }
const KEY_START = '-----BEGIN PRIVATE KEY-----'

/** Reads the folder's certificates, or makes them the first time. */
export async function keepApnsFiles(folder: string, now: Date): Promise<ApnsFiles> {
  const caFile = path.resolve(folder, 'apns-ca.pem')
  const serverFile = path.resolve(folder, 'apns-server.pem')
  const pushCertificateFile = path.resolve(folder, 'push-certificate.pem')
  const kept = await Promise.all([caFile, serverFile, pushCertificateFile].map(readIfThere))
  const [ca, server, push] = kept
  if (ca !== undefined && server !== undefined && push !== undefined) {
    const pair = split(push)
    const certificates = { ca, server: split(server), pushCertificate: () => Promise.resolve(pair) }
    return { certificates, caFile, pushCertificateFile }
  }
  const certificates = await createApnsCertificates(now)
  const pair = await certificates.pushCertificate(TOPIC)
  await mkdir(folder, { recursive: true })
  await writeFile(caFile, certificates.ca)
  await writeFile(serverFile, join(certificates.server), PRIVATE)
  await writeFile(pushCertificateFile, join(pair), PRIVATE)
  return { certificates, caFile, pushCertificateFile }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function join({ certificate, key }: PemPair): string {
  return `${certificate.trimEnd()}\n${key.trimEnd()}\n`
}

function split(pem: string): PemPair {
  const at = pem.indexOf(KEY_START)
  return { certificate: pem.slice(0, at), key: pem.slice(at) }
}
