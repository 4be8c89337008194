import { AppError } from '../../kernel/errors.ts'
import {
  OID,
  TAG,
  childrenOf,
  expectTag,
  fieldsOf,
  ia5String,
  oid,
  printableString,
  readOid,
  readText,
  sequence,
  setOf,
  utf8String,
} from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'

/** A distinguished name in order, as pairs of dotted OID and text. */
export type Name = readonly { readonly type: string; readonly value: string }[]

/** What a name is built from: short names (CN, O, OU, C, ST, L, UID, DC, serialNumber) or dotted OIDs, in order. */
export type NameInput = readonly (readonly [type: string, value: string])[]

const SHORT_NAMES: Record<string, string> = {
  CN: OID.commonName,
  O: OID.organization,
  OU: OID.organizationalUnit,
  C: OID.country,
  ST: OID.state,
  L: OID.locality,
  UID: OID.userId,
  DC: OID.domainComponent,
  serialNumber: OID.serialNumber,
  emailAddress: OID.emailAddress,
}

const NAME_LABELS = new Map(Object.entries(SHORT_NAMES).map(([label, dotted]) => [dotted, label]))

/** Reads a Name (RFC 5280, section 4.1.2.4). Values of other types than character strings are given as hex. */
export function readName(element: Element): Name {
  return childrenOf(expectTag(element, TAG.sequence, 'name'), 'name').flatMap((rdn) =>
    childrenOf(expectTag(rdn, TAG.set, 'relative name'), 'relative name').map((pair) => {
      const fields = fieldsOf(pair, TAG.sequence, 'name attribute')
      const type = readOid(fields.any('type'), 'name attribute type')
      const value = fields.any('value')
      fields.end()
      return {
        type,
        value: isText(value) ? readText(value, 'name attribute') : `#${value.encoded.toString('hex')}`,
      }
    }),
  )
}

/** DER of a name with one attribute in each relative name. */
export function encodeName(name: NameInput): Buffer {
  return sequence(
    ...name.map(([type, value]) => {
      const dotted = SHORT_NAMES[type] ?? type
      if (!/^[0-2](\.\d+)+$/.test(dotted))
        throw new AppError('x509_invalid', `${type} is no type of name attribute`)
      return setOf(sequence(oid(dotted), encodeValue(dotted, value)))
    }),
  )
}

/** The first attribute of this dotted type. */
export function nameAttribute(name: Name, type: string): string | undefined {
  return name.find((attribute) => attribute.type === type)?.value
}

/** A name for people, in the order in which it is written: `CN=Example CA, O=Example`. */
export function formatName(name: Name): string {
  return name.map(({ type, value }) => `${NAME_LABELS.get(type) ?? type}=${value}`).join(', ')
}

function isText(element: Element): boolean {
  const types: number[] = [TAG.utf8String, TAG.printableString, TAG.ia5String, TAG.t61String, TAG.bmpString]
  return types.includes(element.tag)
}

function encodeValue(type: string, value: string): Buffer {
  if (type === OID.country || type === OID.serialNumber) {
    if (/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)) return printableString(value)
  }
  if (type === OID.domainComponent || type === OID.emailAddress) {
    if (/^[\x20-\x7e]*$/.test(value)) return ia5String(value)
  }
  return utf8String(value)
}
