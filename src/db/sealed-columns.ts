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
  requestedPushKey: (id: string) => `push_certificate_requests.private_key:${id}`,
  /** A staged key becomes the current one without being sealed anew, so this does not name its place. */
  adeKey: (certificate: Uint8Array) => `ade_servers.private_key:${sha256(certificate).toString('hex')}`,
  adeToken: (serverId: string) => `ade_servers.token:${serverId}`,
  linkKey: (id: string) => `enrollment_links.key:${id}`,
  deviceMessage: (enrollmentId: string) => `device_messages.raw:${enrollmentId}`,
  webhookSecret: (id: string) => `webhooks.secret:${id}`,
  clientSecret: (sourceId: string) => `sign_in_source:${sourceId}`,
  webSession: (idHash: Buffer) => `web_session:${idHash.toString('hex')}`,
  keptAnswer: (tokenId: string, key: string) => `idempotency_keys.body:${tokenId}:${key}`,
  unlockToken: (enrollmentId: string) => `enrollments.unlock_token:${enrollmentId}`,
  bootstrapToken: (enrollmentId: string) => `enrollments.bootstrap_token:${enrollmentId}`,
  checkinMessage: (enrollmentId: string) => `checkin_messages.raw:${enrollmentId}`,
  deviceCode: (enrollmentId: string, kind: string) => `device_codes.code:${enrollmentId}:${kind}`,
  contentsCommand: (id: string) => `group_contents.command:${id}`,
  commandBody: (uuid: string) => `commands.body:${uuid}`,
  approval: (id: string) => `approvals.params:${id}`,
  secret: (name: string) => `secrets.value:${name}`,
  profileContent: (id: string, revision: number) => `profile_revisions.content:${id}:${revision}`,
} as const

/** Every column of sealed secrets. */
const SEALED_COLUMNS: readonly SealedColumn[] = [
  of('device_cas', 'private_key', ['id'], SEALED_FOR.deviceCaKey),
  of('profile_signers', 'private_key', ['ca_id'], SEALED_FOR.profileSignerKey),
  of('push_certificates', 'private_key', ['topic'], SEALED_FOR.pushKey),
  of('push_certificate_requests', 'private_key', ['id'], SEALED_FOR.requestedPushKey),
  of('ade_servers', 'private_key', ['id'], SEALED_FOR.adeKey, { from: ['certificate'] }),
  of('ade_servers', 'staged_private_key', ['id'], SEALED_FOR.adeKey, { from: ['staged_certificate'] }),
  of('ade_servers', 'token', ['id'], SEALED_FOR.adeToken),
  of('enrollment_links', 'key_sealed', ['id'], SEALED_FOR.linkKey),
  of('device_messages', 'raw', ['id'], SEALED_FOR.deviceMessage, { from: ['enrollment_id'] }),
  of('webhooks', 'secret', ['id'], SEALED_FOR.webhookSecret),
  of('webhooks', 'previous_secret', ['id'], SEALED_FOR.webhookSecret),
  of('sign_in_sources', 'client_secret', ['id'], SEALED_FOR.clientSecret),
  of('web_sessions', 'state', ['id_hash'], SEALED_FOR.webSession),
  of('idempotency_keys', 'body', ['token_id', 'key'], SEALED_FOR.keptAnswer, { isBase64: true }),
  of('enrollments', 'unlock_token', ['id'], SEALED_FOR.unlockToken),
  of('enrollments', 'bootstrap_token', ['id'], SEALED_FOR.bootstrapToken),
  of('checkin_messages', 'raw', ['enrollment_id', 'received_at'], SEALED_FOR.checkinMessage, {
    from: ['enrollment_id'],
  }),
  of('approvals', 'params', ['id'], SEALED_FOR.approval),
  of('secrets', 'value', ['name'], SEALED_FOR.secret),
  of('profile_revisions', 'content', ['profile_id', 'revision'], SEALED_FOR.profileContent),
  of('device_codes', 'code', ['enrollment_id', 'kind', 'command_uuid'], SEALED_FOR.deviceCode, {
    from: ['enrollment_id', 'kind'],
  }),
  of('group_contents', 'command', ['id'], SEALED_FOR.contentsCommand),
  // Those that a statement of ours writes hold no secret, and are as they are sent.
  of('commands', 'body', ['uuid'], SEALED_FOR.commandBody, { only: sql`get_byte(body, 0) = 1` }),
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
  more: Partial<Pick<SealedColumn, 'from' | 'only' | 'isBase64'>> = {},
): SealedColumn {
  return { table, column, key, context, from: key, ...more }
}
