export { isDict, type PlistDict, type PlistValue } from './value.ts'
export { parsePlist, textOfPlist } from './reader.ts'
export { salvagePlist, type SalvagedDict } from './salvage.ts'
export { writePlist, type WritablePlist } from './writer.ts'
