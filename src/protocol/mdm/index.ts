export {
  buildGetBootstrapTokenResponse,
  buildReturnToServiceRefusal,
  buildUserAuthenticateChallenge,
} from './answers.ts'
export { parseCheckin } from './checkin.ts'
export type * from './checkin-types.ts'
export { buildCommand, parseCommand } from './command.ts'
export { markDataKeys } from './data-keys.ts'
export type { ChannelIdentity } from './identity.ts'
export { extractInventory } from './inventory.ts'
export type { InventoryKind } from './inventory.ts'
export { fromJson, toJson } from './json.ts'
export { createMessageReader, messageWorkerScript, UnreadableMessage } from './message-reader.ts'
export type { MessageReader } from './message-reader.ts'
export { packBytes, unpackBytes } from './pack.ts'
export type { ListPage } from './packed-list.ts'
export { readCheckin, readResult } from './read-message.ts'
export type { ReadCheckin, ReadResult } from './read-message.ts'
export { redactCommand } from './redact.ts'
export { parseResult } from './result.ts'
export { isCheckinBody, looksLikeCheckin } from './routing.ts'
