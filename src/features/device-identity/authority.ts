import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Db, Queries, Tx } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Log } from '../../kernel/log.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import {
  createLeaf,
  createSelfSignedCa,
  keyMatches,
  parseCertificate,
  readPem,
  type Certificate,
  type Identity,
} from '../../protocol/x509/index.ts'
import { findSigner, listCas, lockAuthority, saveCa, saveSigner, type StoredCa } from './store.ts'

/** Long enough that the CA outlives the phones; another one can take over at any time before. */
const CA_DAYS = 3650
const MIN_RSA_BITS = 2048
const ORGANIZATION = 'Firstboot'

/** A trusted CA; without a key it issues nothing. */
interface Ca {
  readonly id: string
  readonly certificate: Certificate
  readonly key: KeyObject | null
}

/** A CA in PEM to take over; the first certificate of the text is the CA's. */
export interface ImportedCa {
  readonly certificatePem: string
  readonly keyPem: string
}

/** The CAs of this installation, in memory, and the signer of its profiles. */
export type Authority = ReturnType<typeof createAuthority>

/** `ready()` must have ended before anything else is asked of it. */
export function createAuthority(deps: {
  db: Db
  clock: Clock
  log: Log
  secretBox: SecretBox
  imported: ImportedCa | null
}) {
  const { db, clock, log, secretBox: box, imported } = deps
  let cas: readonly Ca[] = []
  let signer: Identity | undefined
  let refreshing: Promise<void> | undefined

  /**
   * Makes the CA at the first start, or takes over the one that was given; processes that start at once agree on one.
   * A given CA that is not yet known becomes the one that issues, and the earlier ones stay trusted. Throws
   * `x509_invalid` when the given one cannot be used.
   */
  async function ready(): Promise<void> {
    const given = imported && readImported(imported, clock.now())
    await db.transaction(async (trx) => {
      await lockAuthority(trx)
      const stored = await listCas(trx)
      if (given !== null && stored[0]?.id !== given.certificate.fingerprint) {
        await keep(trx, given, stored[0])
      } else if (!stored[0]?.private_key) {
        await keep(trx, await makeCa(clock.now()), stored[0])
      }
      await load(trx)
      signer = await signerOf(trx, issuing())
    })
  }

  async function keep(trx: Tx, identity: Identity, before: StoredCa | undefined): Promise<void> {
    const { certificate, key } = identity
    const id = certificate.fingerprint
    const private_key = sealKey(box, key, SEALED_FOR.deviceCaKey(id))
    // The newest issues, whatever the clock of the process says that made the one before.
    const created_at = new Date(Math.max(clock.now().getTime(), (before?.created_at.getTime() ?? 0) + 1))
    await saveCa(trx, { id, certificate: certificate.der, private_key, created_at })
    const event = before === undefined ? 'authority.created' : 'authority.changed'
    log.info(
      { event, ca: id, not_after: certificate.notAfter },
      'this CA now issues the certificates of devices',
    )
  }

  async function load(queries: Queries): Promise<void> {
    const known = new Map(cas.map((ca) => [ca.id, ca]))
    const stored = await listCas(queries)
    cas = stored.map((row) => known.get(row.id) ?? openCa(box, row))
  }

  /** The signer is kept, because a phone takes an update of a profile from the same signer only. */
  async function signerOf(trx: Tx, ca: Identity): Promise<Identity> {
    const id = ca.certificate.fingerprint
    const stored = await findSigner(trx, id)
    if (stored !== undefined) {
      const key = openKey(box.open(stored.private_key, SEALED_FOR.profileSignerKey(id)))
      return { certificate: parseCertificate(stored.certificate), key }
    }
    const made = await makeSigner(ca, clock.now())
    const private_key = sealKey(box, made.key, SEALED_FOR.profileSignerKey(id))
    const { der: certificate } = made.certificate
    await saveSigner(trx, { ca_id: id, certificate, private_key, created_at: clock.now() })
    return made
  }

  /** The CA that issues. */
  function issuing(): Identity {
    const ca = cas[0]
    if (!ca?.key) throw new AppError('internal', 'The device CA is not ready.')
    return { certificate: ca.certificate, key: ca.key }
  }

  return {
    ready,
    issuing,
    /** Every trusted CA, the one that issues first. */
    trusted: (): readonly Ca[] => cas,
    /** Trusts CAs for devices that have certificates of theirs; they issue nothing. */
    trust: (certificates: readonly Certificate[]): Promise<void> =>
      db.transaction(async (trx) => {
        await addTrusted(trx, certificates, clock.now())
        await load(trx)
      }),
    /** Reads the CAs again, as another process may have added one; calls at the same time share one look. */
    refresh(): Promise<void> {
      return (refreshing ??= load(db.kysely).finally(() => (refreshing = undefined)))
    },
    /** Who signs enrollment profiles: a certificate issued by our CA. */
    profileSigner(): Identity {
      if (signer === undefined) throw new AppError('internal', 'The device CA is not ready.')
      return signer
    },
  }
}

/** Keeps CAs without a key; those that are known stay as they are. */
async function addTrusted(trx: Tx, certificates: readonly Certificate[], created_at: Date): Promise<void> {
  await lockAuthority(trx)
  const known = new Set((await listCas(trx)).map(({ id }) => id))
  for (const { fingerprint: id, der: certificate } of certificates)
    if (!known.has(id)) await saveCa(trx, { id, certificate, private_key: null, created_at })
}

function readImported(imported: ImportedCa, now: Date): Identity {
  const refuse = (why: string) => new AppError('x509_invalid', `The device CA to import ${why}.`)
  const block = readPem(imported.certificatePem).find(({ label }) => label === 'CERTIFICATE')
  if (block === undefined) throw refuse('has no certificate')
  const certificate = parseCertificate(block.der)
  const key = createPrivateKey(imported.keyPem)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (key.asymmetricKeyType !== 'rsa' || bits < MIN_RSA_BITS) {
    throw refuse(`must have an RSA key of at least ${MIN_RSA_BITS} bits, because SCEP encrypts to it`)
  }
  if (!keyMatches(certificate, key)) throw refuse('has the key of another certificate')
  if (!certificate.isCa) throw refuse('is not the certificate of a certificate authority')
  if (certificate.keyUsage?.has('keyCertSign') === false) throw refuse('may not sign certificates')
  if (certificate.notAfter <= now) throw refuse(`expired at ${certificate.notAfter.toISOString()}`)
  return { certificate, key }
}

// 2048 bits, as the keys of the phones have: three private-key operations stand behind every enrollment.
function makeCa(now: Date): Promise<Identity> {
  const commonName = `Firstboot device CA ${now.toISOString().slice(0, 10)}`
  return createSelfSignedCa({ commonName, organization: ORGANIZATION, now, days: CA_DAYS, bits: 2048 })
}

function makeSigner(ca: Identity, now: Date): Promise<Identity> {
  return createLeaf({
    subject: [
      ['O', ORGANIZATION],
      ['CN', 'Firstboot enrollment profiles'],
    ],
    notBefore: addTime(now, -5, 'minute'),
    notAfter: ca.certificate.notAfter,
    keyUsage: ['digitalSignature'],
    issuer: ca,
  })
}

function openCa(box: SecretBox, row: StoredCa): Ca {
  const key =
    row.private_key === null ? null : openKey(box.open(row.private_key, SEALED_FOR.deviceCaKey(row.id)))
  return { id: row.id, certificate: parseCertificate(row.certificate), key }
}

function openKey(pkcs8: Buffer): KeyObject {
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
}

function sealKey(box: SecretBox, key: KeyObject, context: string): Buffer {
  return box.seal(key.export({ format: 'der', type: 'pkcs8' }), context)
}
