import { OID, TAG, childrenOf, fieldsOf, readOctetString, readOid, readTime, refuse } from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'

/** Values of the signed attributes by dotted OID. */
export type Attributes = ReadonlyMap<string, readonly Element[]>

/** Reads signed attributes (RFC 5652, section 5.3). Refuses an attribute that is there twice or has no value. */
export function readAttributes(element: Element): Attributes {
  const attributes = new Map<string, readonly Element[]>()
  for (const attribute of childrenOf(element, 'signed attributes')) {
    const fields = fieldsOf(attribute, TAG.sequence, 'attribute')
    const type = readOid(fields.any('type'), 'attribute type')
    const values = childrenOf(fields.next(TAG.set, 'attribute values'), 'attribute values')
    fields.end()
    if (attributes.has(type)) refuse(element, `attribute ${type} is there twice`)
    if (values.length === 0) refuse(element, `attribute ${type} has no value`)
    attributes.set(type, values)
  }
  return attributes
}

/** The single value of an attribute; undefined when it is missing. Refuses several values. */
export function attributeValue(attributes: Attributes, type: string): Element | undefined {
  const [value, another] = attributes.get(type) ?? []
  if (another !== undefined) refuse(another, `attribute ${type} has two values`)
  return value
}

/**
 * The digest of the content that the attributes are about. Content type and message digest must be there, once, and the type
 * the message's.
 */
export function mandatoryDigest(attributes: Attributes, from: Element, contentType: string): Buffer {
  const typeValue = attributeValue(attributes, OID.contentType)
  const digestValue = attributeValue(attributes, OID.messageDigest)
  if (typeValue === undefined || digestValue === undefined) {
    return refuse(from, 'the signed attributes lack content type or message digest')
  }
  if (readOid(typeValue, 'content type') !== contentType)
    refuse(from, 'the signed content type is another one')
  return readOctetString(digestValue, 'message digest')
}

/** The signing time that the signer claims. */
export function signingTime(attributes: Attributes): Date | undefined {
  const value = attributeValue(attributes, OID.signingTime)
  return value && readTime(value, 'signing time')
}
