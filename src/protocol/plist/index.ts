export { isDict } from './value.ts'
export type { PlistDict, PlistLimits, PlistValue } from './value.ts'
export { parsePlist } from './reader.ts'
export { writePlist } from './writer.ts'
