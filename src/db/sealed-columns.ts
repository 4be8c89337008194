import { sql } from 'kysely'
import { sha256 } from '../kernel/ids.ts'
import type { SecretBox } from '../kernel/secret-box.ts'
import type { Db } from './database.ts'
import { resealColumn, type SealedColumn } from './reseal.ts'

/** What each kind of secret is sealed for: its place, so that nothing sealed can be put into the place of another. */
export const SEALED_FOR = {
  deviceCaKey: (id: string) => `device_cas.private_key:${id}`,
  profileSignerKey: (caId: string) => `profile_signers.private_key:${caId}`,
  pushKey: (topic: string) => `push_certificates.private_key:${topic}`,
  /** A staged key becomes the current one without being sealed anew, so this does not name its place. */
  adeKey: (certificate: Uint8Array) => `ade_servers.private_key:${sha256(certificate).toString('hex')}`,
  adeToken: (serverId: string) => `ade_servers.token:${serverId}`,
  linkKey: (id: string) => `enrollment_links.key:${id}`,
  clientSecret: (sourceId: string) => `sign_in_source:${sourceId}`,
  webSession: (idHash: Buffer) => `web_session:${idHash.toString('hex')}`,
  keptAnswer: (tokenId: string, key: string) => `idempotency_keys.body:${tokenId}:${key}`,
  unlockToken: (enrollmentId: string) => `enrollments.unlock_token:${enrollmentId}`,
  bootstrapToken: (enrollmentId: string) => `enrollments.bootstrap_token:${enrollmentId}`,
  checkinMessage: (enrollmentId: string) => `checkin_messages.raw:${enrollmentId}`,
  commandBody: (uuid: string) => `commands.body:${uuid}`,
} as const

/** Every column of sealed secrets. */
const SEALED_COLUMNS: readonly SealedColumn[] = [
  of('device_cas', 'private_key', ['id'], (row: { id: string }) => SEALED_FOR.deviceCaKey(row.id)),
  of('profile_signers', 'private_key', ['ca_id'], (row: { ca_id: string }) =>
    SEALED_FOR.profileSignerKey(row.ca_id),
  ),
  of('push_certificates', 'private_key', ['topic'], (row: { topic: string }) =>
    SEALED_FOR.pushKey(row.topic),
  ),
  {
    ...of('ade_servers', 'private_key', ['id'], (row: { certificate: Buffer }) =>
      SEALED_FOR.adeKey(row.certificate),
    ),
    also: ['certificate'],
  },
  {
    ...of('ade_servers', 'staged_private_key', ['id'], (row: { staged_certificate: Buffer }) =>
      SEALED_FOR.adeKey(row.staged_certificate),
    ),
    also: ['staged_certificate'],
  },
  of('ade_servers', 'token', ['id'], (row: { id: string }) => SEALED_FOR.adeToken(row.id)),
  of('enrollment_links', 'key_sealed', ['id'], (row: { id: string }) => SEALED_FOR.linkKey(row.id)),
  of('sign_in_sources', 'client_secret', ['id'], (row: { id: string }) => SEALED_FOR.clientSecret(row.id)),
  of('web_sessions', 'state', ['id_hash'], (row: { id_hash: Buffer }) => SEALED_FOR.webSession(row.id_hash)),
  {
    ...of('idempotency_keys', 'body', ['token_id', 'key'], (row: { token_id: string; key: string }) =>
      SEALED_FOR.keptAnswer(row.token_id, row.key),
    ),
    isBase64: true,
  },
  of('enrollments', 'unlock_token', ['id'], (row: { id: string }) => SEALED_FOR.unlockToken(row.id)),
  of('enrollments', 'bootstrap_token', ['id'], (row: { id: string }) => SEALED_FOR.bootstrapToken(row.id)),
  of('checkin_messages', 'raw', ['enrollment_id', 'received_at'], (row: { enrollment_id: string }) =>
    SEALED_FOR.checkinMessage(row.enrollment_id),
  ),
  {
    ...of('commands', 'body', ['uuid'], (row: { uuid: string }) => SEALED_FOR.commandBody(row.uuid)),
    // Those that a statement of ours writes hold no secret, and are as they are sent.
    only: sql`get_byte(body, 0) = 1`,
  },
]

/** Seals anew what is sealed with the previous secret key; gives the number of values. */
export async function resealAll(db: Db, box: SecretBox): Promise<number> {
  let count = 0
  for (const column of SEALED_COLUMNS) count += await resealColumn(db, box, column)
  return count
}

function of(
  table: SealedColumn['table'],
  column: string,
  key: readonly string[],
  context: SealedColumn['context'],
): SealedColumn {
  return { table, column, key, context }
}
