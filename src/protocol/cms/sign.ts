import { hash as digestOf } from 'node:crypto'
import {
  OID,
  context,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  sorted,
  tlv,
  wrap,
  TAG,
  time,
  algorithm,
} from '../asn1/index.ts'
import { hashAlgorithm, sign, signatureAlgorithm } from '../x509/index.ts'
import type { Certificate, HashName, Identity } from '../x509/index.ts'
import { readSignedData } from './signed-data.ts'

/** One attribute to sign: its dotted OID and the DER of its single value. */
export type AttributeInput = readonly [type: string, value: Uint8Array]

/**
 * Makes a SignedData message in DER with one signer and signed attributes (RFC 5652, section 5). `content` missing:
 * a message over nothing. `detached`: the content is signed but not put inside. `certificates` are written in
 * the given order (default: the signer's). Attributes: content type, digest, signing time when given, then `attributes`;
 * with `none` the signature is over the content itself.
 */
export async function signData(options: {
  content?: Uint8Array
  detached?: boolean
  signer: Identity
  certificates?: readonly Certificate[]
  attributes?: readonly AttributeInput[] | 'none'
  signingTime?: Date
  hash?: HashName
}): Promise<Buffer> {
  const { content, signer, hash = 'sha256', certificates = [signer.certificate] } = options
  const over = content ?? Buffer.alloc(0)
  const attributes =
    options.attributes === 'none'
      ? []
      : encodeAttributes(options.attributes, options.signingTime, digestOf(hash, over, 'buffer'))
  const isPlain = attributes.length === 0
  const signature = await sign(signer.key, hash, isPlain ? over : tlv(TAG.set, ...attributes))
  const signerInfo = sequence(
    integer(1),
    certificateReference(signer.certificate),
    hashAlgorithm(hash),
    ...(isPlain ? [] : [context(0, ...attributes)]),
    signer.key.asymmetricKeyType === 'rsa'
      ? algorithm(OID.rsaEncryption, nullValue())
      : signatureAlgorithm(signer.key, hash),
    octetString(signature),
  )
  const inside =
    content === undefined || options.detached === true
      ? []
      : wrap(TAG.context(0), wrap(TAG.octetString, [content]))
  return signedData(setOf(hashAlgorithm(hash)), inside, certificates, setOf(signerInfo))
}

/** Makes a certs-only message: a SignedData without content and signers (RFC 8894, section 3.4). */
export function degenerate(certificates: readonly Certificate[]): Buffer {
  return signedData(setOf(), [], certificates, setOf())
}

/** The certificates (DER) of a certs-only message, or of any SignedData, in its order. */
export function readCertificates(message: Uint8Array): readonly Buffer[] {
  return readSignedData(message, 'ber').certificates
}

/** IssuerAndSerialNumber, byte for byte as in the certificate. */
export function certificateReference({ issuerDer, serialBytes }: Certificate): Buffer {
  return sequence(issuerDer, tlv(TAG.integer, serialBytes))
}

/** ContentInfo around the DER of the given content type. */
export function contentInfo(type: string, ...content: readonly Uint8Array[]): Buffer {
  return Buffer.concat(wrap(TAG.sequence, [oid(type), ...wrap(TAG.context(0), content)]))
}

function signedData(
  hashes: Buffer,
  inside: readonly Uint8Array[],
  certificates: readonly Certificate[],
  signers: Buffer,
): Buffer {
  const ders = certificates.map(({ der }) => der)
  return contentInfo(
    OID.signedData,
    ...wrap(TAG.sequence, [
      integer(1),
      hashes,
      ...wrap(TAG.sequence, [oid(OID.data), ...inside]),
      ...wrap(TAG.context(0), ders),
      signers,
    ]),
  )
}

function encodeAttributes(
  others: readonly AttributeInput[] = [],
  signingTime: Date | undefined,
  digest: Uint8Array,
): Uint8Array[] {
  const list: AttributeInput[] = [
    [OID.contentType, oid(OID.data)],
    [OID.messageDigest, octetString(digest)],
  ]
  if (signingTime !== undefined) list.push([OID.signingTime, time(signingTime)])
  const all = [...list, ...others]
  return sorted(all.map(([type, value]) => sequence(oid(type), setOf(value))))
}
