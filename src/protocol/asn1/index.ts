export { berToDer } from './ber.ts'
export { OID } from './oids.ts'
export { TAG, asBuffer, childrenOf, decodeDer, expectTag, fieldsOf, refuse } from './reader.ts'
export type { DecodeErrorCode, Element } from './reader.ts'
export {
  readAlgorithm,
  readBitString,
  readOctetBits,
  readBoolean,
  readInteger,
  readOctetString,
  readOid,
  readSmallInteger,
  readText,
  readTime,
} from './values.ts'
export {
  algorithm,
  bitString,
  boolean,
  context,
  contextPrimitive,
  ia5String,
  integer,
  nullValue,
  octetString,
  oid,
  printableString,
  sequence,
  setOf,
  sorted,
  time,
  tlv,
  utf8String,
  wrap,
} from './writer.ts'
