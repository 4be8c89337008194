import type { Db } from '../../../db/index.ts'
import { readNanomdm, type NanomdmDevice } from '../../../db/index.ts'

/** A device as the other server has it. */
export interface SourceDevice {
  id: string
  serialNumber: string | null
  /** Whether it is enrolled there. */
  isEnabled: boolean
  authenticate: Buffer | null
  tokenUpdate: Buffer | null
  unlockToken: Buffer | null
  bootstrapToken: Buffer | null
  /** The certificate with which it said Authenticate, in PEM. */
  certificatePem: string | null
  /** SHA-256 of the certificates with which it may speak, the newest last. */
  fingerprints: Buffer[]
  lastSeenAt: Date | null
  /** The TokenUpdates of its users. */
  users: Buffer[]
}

/** What is moved in from. */
export interface Source {
  count(): Promise<number>
  /** Certificates with their keys, in PEM, those first that most devices have. */
  pushCertificates(): Promise<{ topic: string; pem: string }[]>
  /** Devices in the order of their ids, after this one. */
  devices(after: string, limit: number): Promise<SourceDevice[]>
}

/** A NanoMDM with PostgreSQL. */
export async function databaseSource(db: Db): Promise<Source> {
  const store = await readNanomdm(db)
  return {
    count: store.count,
    async pushCertificates() {
      const rows = await store.pushCertificates()
      return rows.map(({ topic, cert_pem, key_pem }) => ({ topic, pem: `${cert_pem}\n${key_pem}` }))
    },
    devices: async (after, limit) => (await store.devices(after, limit)).map(fromRow),
  }
}

function fromRow(row: NanomdmDevice): SourceDevice {
  return {
    id: row.id,
    serialNumber: row.serial_number,
    isEnabled: row.enabled === true,
    authenticate: bytesOf(row.authenticate),
    tokenUpdate: bytesOf(row.token_update),
    unlockToken: bytesOf(row.unlock_token),
    bootstrapToken: row.bootstrap_token_b64 === null ? null : Buffer.from(row.bootstrap_token_b64, 'base64'),
    certificatePem: row.identity_cert,
    fingerprints: fingerprintsIn(row.certificates),
    lastSeenAt: row.last_seen_at,
    users: row.users.map(({ token_update: text }) => Buffer.from(text, 'utf8')),
  }
}

/** A column of text, or of bytes as PostgreSQL writes them. */
function bytesOf(text: string | null): Buffer | null {
  if (text === null) return null
  return /^\\x(?:[0-9a-f]{2})*$/.test(text) ? Buffer.from(text.slice(2), 'hex') : Buffer.from(text, 'utf8')
}

/** Each that is one, once, in their order. */
export function fingerprintsIn(texts: readonly string[]): Buffer[] {
  const known = new Set(texts.map((text) => text.trim().toLowerCase()))
  return [...known].filter((text) => /^[0-9a-f]{64}$/.test(text)).map((text) => Buffer.from(text, 'hex'))
}
