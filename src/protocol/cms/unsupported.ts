import { OID, TAG, childrenOf, fieldsOf } from '../asn1/index.ts'
import { findHash, findSignatureScheme } from '../x509/index.ts'
import { readAttributes, type Attributes } from './attributes.ts'
import { readContentInfo } from './signed-data.ts'

/**
 * The signed attributes of a SignedData whose digest or signature algorithm is not supported (MD5), so that whoever sent
 * it can be told. Nothing of them is verified. Undefined for any other message. Refuses `cms_invalid`.
 */
export function readUnsupportedAttributes(
  message: Uint8Array,
  encoding: 'der' | 'ber',
): Attributes | undefined {
  const fields = fieldsOf(readContentInfo(message, OID.signedData, encoding), TAG.sequence, 'signed data')
  fields.any('version')
  fields.next(TAG.set, 'digest algorithms')
  fields.any('encapsulated content')
  fields.optional(TAG.context(0))
  fields.optional(TAG.context(1))
  const [element] = childrenOf(fields.next(TAG.set, 'signers'), 'signers')
  if (element === undefined) return undefined
  const signer = fieldsOf(element, TAG.sequence, 'signer')
  signer.any('signer version')
  signer.any('signer reference')
  const hash = findHash(signer.any('digest algorithm'), 'digest algorithm')
  const attributes = signer.optional(TAG.context(0))
  const scheme = findSignatureScheme(signer.any('signature algorithm'))
  return hash !== undefined && scheme !== undefined ? undefined : attributes && readAttributes(attributes)
}
