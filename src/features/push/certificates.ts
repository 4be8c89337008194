import { afterCommit, type Db, type Queries, type Tx } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Events } from '../events/index.ts'
import { openKeyPair } from './key-pair.ts'
import { readPushCertificate, type Upload } from './read-certificate.ts'
import * as store from './store.ts'

/** What is known to be odd, though it was stored. */
interface StoredCertificate extends store.PushCertificate {
  warnings: string[]
}

interface StoreOptions {
  appleId?: string | undefined
  force?: boolean | undefined
  /** The request that it was made for, if that was made here. */
  requestId?: string
  /** Whether it is the one for new enrollments from now on (default: it is). */
  inUse?: false
}

/** The push certificates: one per topic, one of them in use for new enrollments. */
export type PushCertificates = ReturnType<typeof createPushCertificates>

/** `onStored` is called after a commit that may have made pushes possible. */
export function createPushCertificates(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  box: SecretBox
  onStored: () => void
}) {
  const { db, clock, events, box } = deps

  /**
   * Checks and stores a certificate with its key. Another topic than the one in use is refused with
   * `push_certificate_topic_changed` unless `force`; then it becomes the one in use, and the old certificate stays for
   * the devices enrolled under it. Other refusals as `readPushCertificate`.
   */
  async function put(upload: Upload, act: Act, options: StoreOptions = {}): Promise<StoredCertificate> {
    const now = clock.now()
    const { inUse: isInUse = true } = options
    const { topic, certificate, privateKey, notAfter } = readPushCertificate(upload, now)
    const row = {
      topic,
      certificate,
      private_key: box.seal(Buffer.from(privateKey), SEALED_FOR.pushKey(topic)),
      apple_id: options.appleId ?? null,
      not_after: notAfter,
    }
    return db.transaction(async (trx) => {
      await store.lockCertificates(trx)
      const known = await store.findCertificate(trx, topic)
      if (options.force !== true && isInUse) await refuseOtherTopic(trx, topic)
      const stored = await store.upsertCertificate(trx, row, now, isInUse)
      if (options.requestId !== undefined) await store.answerRequest(trx, options.requestId, topic, now)
      const released = await store.releaseHeld(trx, topic, now)
      const warnings = compare(known, row)
      await events.emit(trx, {
        type: 'push_certificate.stored',
        act,
        data: {
          topic,
          not_after: notAfter.toISOString(),
          renewal: known !== undefined,
          warnings,
          pushes_released: released,
        },
      })
      afterCommit(trx, deps.onStored)
      return { ...stored, warnings }
    })
  }

  /**
   * Stores a certificate that comes from another server, for the devices that move in from there: it is put in use only where none
   * is, and one that ends later stays. Gives whether it was stored, or would be; refusals as `readPushCertificate`.
   */
  async function bring(
    upload: Upload,
    act: Act,
    { dryRun }: { dryRun: boolean },
  ): Promise<{ topic: string; isStored: boolean }> {
    const { topic, notAfter } = readPushCertificate(upload, clock.now())
    const [known, inUse] = [await store.findCertificate(db.kysely, topic), await store.findInUse(db.kysely)]
    if (known !== undefined && known.not_after >= notAfter) return { topic, isStored: false }
    if (dryRun) return { topic, isStored: true }
    if (inUse === undefined || inUse.topic === topic) await put(upload, act)
    else await put(upload, act, { inUse: false })
    return { topic, isStored: true }
  }

  return {
    store: put,
    bring,
    /** The certificate that new enrollments get; null when there is none, or it has expired. */
    async current(reader: Queries = db.kysely): Promise<{ topic: string; not_after: Date } | null> {
      const row = await store.findInUse(reader)
      if (row === undefined || row.not_after <= clock.now()) return null
      return { topic: row.topic, not_after: row.not_after }
    },
    /** See `openKeyPair`. */
    keyPair: (topic: string) => openKeyPair({ db, box }, topic),
    /** The same, be it expired. */
    inUse: () => store.findInUse(db.kysely),
    find: (topic: string) => store.findCertificate(db.kysely, topic),
    list: (query: { after?: string | undefined; limit: number }) => store.listCertificates(db.kysely, query),
  }
}

async function refuseOtherTopic(trx: Tx, topic: string): Promise<void> {
  const inUse = await store.findInUse(trx)
  if (inUse === undefined || inUse.topic === topic) return
  throw new AppError(
    'push_certificate_topic_changed',
    `The topic in use is ${inUse.topic}, this certificate has ${topic}. Devices that are enrolled cannot change their ` +
      'topic: renew the certificate at Apple instead of making a new one, or force it and enroll every device again.',
  )
}

function compare(
  known: store.PushCertificate | undefined,
  row: { apple_id: string | null; not_after: Date },
): string[] {
  const warnings: string[] = []
  if (
    known?.apple_id &&
    row.apple_id !== null &&
    known.apple_id.toLowerCase() !== row.apple_id.toLowerCase()
  ) {
    warnings.push(`The Apple ID was ${known.apple_id}; only the one that made a certificate can renew it.`)
  }
  if (known && known.not_after > row.not_after) {
    warnings.push(`It expires earlier than the one it replaces (${known.not_after.toISOString()}).`)
  }
  return warnings
}
