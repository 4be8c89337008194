/** Apple's schema of commands: what a command may hold, and which devices it suits. */
export { listCommandTypes } from './catalogue.ts'
export { successorOf } from './changes.ts'
export { checkCommand, type CheckedCommand } from './check.ts'
export { jsonSchemaOf } from './json-schema.ts'
export { markDataKeys } from './mark-data.ts'
export {
  mayUnsuit,
  suits,
  systemOf,
  unsuitedReasons,
  type SuitedDevice,
  type UnsuitedReason,
} from './suit.ts'
export { SYSTEMS, type CommandType, type Part } from './types.ts'
