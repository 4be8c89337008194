import { createPrivateKey, type KeyObject } from 'node:crypto'
import forge from 'node-forge'
import { AppError } from '../../kernel/errors.ts'
import { TAG, berToDer, childrenOf, decodeDer, type Element } from '../asn1/index.ts'
import type { Bundle } from './bundle.ts'
import { parseCertificate } from './certificate.ts'

const MAX_PKCS12_BYTES = 256 * 1024

// The keys are derived in JavaScript, on the event loop: this many rounds take about a second.
const MAX_ITERATIONS = 100_000

/**
 * Reads a PKCS#12 file (RFC 7292), protected as old and present tools do (3DES, RC2, AES), with at most one
 * private key. Refuses `x509_invalid`, with `fields[0].path` `password` when the password is wrong and `pkcs12` when it is
 * the file.
 */
export function readPkcs12(file: Uint8Array, password: string): Bundle {
  const der = normalise(file)
  const pfx = open(der, password)
  const { pkcs8ShroudedKeyBag, keyBag, certBag } = forge.pki.oids
  const bags = (type: string | undefined) => (type && pfx.getBags({ bagType: type })[type]) || []
  const keys = [...bags(pkcs8ShroudedKeyBag), ...bags(keyBag)]
  if (keys.length > 1) throw refused('pkcs12', 'there is more than one private key')
  const [key] = keys
  return {
    certificates: bags(certBag).map((bag) => parseCertificate(certificateOf(bag))),
    key: key && keyOf(key),
  }
}

function normalise(file: Uint8Array): Buffer {
  if (file.length > MAX_PKCS12_BYTES)
    throw refused('pkcs12', `the file has more than ${MAX_PKCS12_BYTES} bytes`)
  let der: Buffer
  try {
    der = berToDer(file, 'x509_invalid')
  } catch (error) {
    throw refused('pkcs12', 'this is no such file', error)
  }
  checkIterations(decodeDer(der, 'x509_invalid'))
  return der
}

// Values within OCTET STRINGs within values: the format has two such levels.
const MAX_NESTED_OCTETS = 4

/** Everywhere in the format the count of rounds is an INTEGER right after the OCTET STRING of its salt. */
function checkIterations(element: Element, level = 0): void {
  if ((element.tag & 0x20) !== 0) {
    const children = childrenOf(element, 'PKCS#12')
    for (const [index, child] of children.entries()) {
      const afterSalt = child.tag === TAG.integer && children[index - 1]?.tag === TAG.octetString
      if (afterSalt && BigInt(`0x0${child.content.toString('hex')}`) > MAX_ITERATIONS) {
        throw refused('pkcs12', `the file asks for more than ${MAX_ITERATIONS} rounds of key derivation`)
      }
      checkIterations(child, level)
    }
  } else if (element.tag === TAG.octetString && level < MAX_NESTED_OCTETS) {
    const inner = innerValue(element.content)
    if (inner !== undefined) checkIterations(inner, level + 1)
  }
}

function innerValue(octets: Buffer): Element | undefined {
  try {
    return decodeDer(berToDer(octets, 'x509_invalid'), 'x509_invalid')
  } catch {
    return undefined
  }
}

function open(der: Buffer, password: string): forge.pkcs12.Pkcs12Pfx {
  const parse = () => forge.asn1.fromDer(forge.util.createBuffer(der.toString('binary')))
  try {
    return forge.pkcs12.pkcs12FromAsn1(parse(), false, password)
  } catch (error) {
    const reason = error instanceof Error ? error.message : ''
    if (/MAC could not be verified|Invalid password/i.test(reason)) {
      throw refused('password', 'the password is wrong', error)
    }
    if (/decrypt/i.test(reason)) return openWithUtf8(parse(), password)
    throw refused('pkcs12', 'this is no such file, or one of a kind that is not supported', error)
  }
}

/**
 * The password was right for the MAC, which takes it as UTF-16, but the contents are encrypted with its UTF-8 bytes
 * (PBES2), which node-forge does not make: read again without the MAC, with those bytes.
 */
function openWithUtf8(asn1: forge.asn1.Asn1, password: string): forge.pkcs12.Pkcs12Pfx {
  try {
    if (Array.isArray(asn1.value)) asn1.value = asn1.value.slice(0, 2)
    return forge.pkcs12.pkcs12FromAsn1(asn1, false, forge.util.encodeUtf8(password))
  } catch (error) {
    throw refused('pkcs12', 'the contents cannot be decrypted', error)
  }
}

function certificateOf(bag: forge.pkcs12.Bag): Buffer {
  if (bag.cert) return toDer(forge.pki.certificateToAsn1(bag.cert))
  if (bag.asn1) return toDer(bag.asn1)
  throw refused('pkcs12', 'a certificate cannot be read')
}

function keyOf(bag: forge.pkcs12.Bag): KeyObject {
  try {
    if (bag.key) {
      return createPrivateKey({
        key: toDer(forge.pki.privateKeyToAsn1(bag.key)),
        format: 'der',
        type: 'pkcs1',
      })
    }
    return createPrivateKey({ key: toDer(bag.asn1), format: 'der', type: 'pkcs8' })
  } catch (error) {
    throw refused('pkcs12', 'the private key cannot be read', error)
  }
}

function toDer(asn1: forge.asn1.Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'binary')
}

function refused(path: string, reason: string, cause?: unknown): AppError {
  const message = `PKCS#12: ${reason}`
  return new AppError('x509_invalid', message, { cause, fields: [{ path, message }] })
}
