export { readAppIdentifier } from './app-identifier.ts'
export { CHANNEL_NAMES } from './channel-names.ts'
export { parseCheckin, type Authenticate, type TokenUpdate } from './checkin.ts'
export { buildCommand, parseCommand, writeCommand } from './command.ts'
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
export { hiddenPlaces, redactCommand } from './redact.ts'
export { parseResult } from './result.ts'
export { isCheckinBody, looksLikeCheckin } from './routing.ts'
export type { ToldFacts } from './reports/facts.ts'
export type { InstalledApp, ListedProfile, ManagedApp } from './reports/lists.ts'
export type { Report } from './reports/read-report.ts'
export {
  checkCommand,
  jsonSchemaOf,
  listCommandTypes,
  markDataKeys,
  mayUnsuit,
  successorOf,
  suits,
  systemOf,
  SYSTEMS,
  unsuitedReasons,
  type CheckedCommand,
  type CommandType,
  type Part,
  type SuitedDevice,
  type UnsuitedReason,
} from './schema/index.ts'
