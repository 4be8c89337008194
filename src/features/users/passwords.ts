import { type ScryptOptions, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { type Turn, createFairQueue } from '../../kernel/fair-queue.ts'
import { POOL_THREADS } from '../../kernel/runtime.ts'

/** OWASP's cost for scrypt with 32 MiB: N = 2^15, r = 8, p = 3; about 0.2 s on the thread pool. */
const LOG_N = 15
const BLOCK_SIZE = 8
const PARALLELISM = 3
const HASH_BYTES = 32
const SALT_BYTES = 16
const MAX_MEMORY = 64 * 1024 * 1024
const OPTIONS = { N: 2 ** LOG_N, r: BLOCK_SIZE, p: PARALLELISM, maxmem: MAX_MEMORY }

const HASHERS = POOL_THREADS - 1
/** What may wait for its turn: a company behind one address must fit, and none may fill it for the others. */
const LIMITS = { width: HASHERS, perLane: HASHERS, maxWaiting: 2_000, maxPerLane: 1_000, expectedMs: 200 }

const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

type Kept = { salt: Buffer; hash: Buffer; options: ScryptOptions }

/** What a password is compared with where none is kept. */
const NOBODY: Kept = { salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES), options: OPTIONS }

/**
 * The hashing of passwords. It leaves a thread of the pool free for what else needs one; those who ask take turns, by
 * their lanes.
 */
export function createPasswords(deps: { clock: Clock }) {
  const queue = createFairQueue({ ...LIMITS, ...deps })

  function derive(password: string, salt: Buffer, options: ScryptOptions, turn: Turn): Promise<Buffer> {
    return queue.run(
      turn,
      () =>
        new Promise((resolve, reject) => {
          // The password counts in NFC (RFC 8265, section 4.2).
          scrypt(password.normalize('NFC'), salt, HASH_BYTES, options, (error, key) =>
            error ? reject(error) : resolve(key),
          )
        }),
    )
  }

  return {
    /** The form in which a password is kept: a PHC string (`$scrypt$ln=15,r=8,p=3$<salt>$<hash>`) that says how it was made. */
    async hash(password: string, turn: Turn): Promise<string> {
      const salt = randomBytes(SALT_BYTES)
      const hash = await derive(password, salt, OPTIONS, turn)
      const parameters = `ln=${LOG_N},r=${BLOCK_SIZE},p=${PARALLELISM}`
      return `$scrypt$${parameters}$${unpadded(salt)}$${unpadded(hash)}`
    },
    /**
     * Whether `password` is the one that was kept as `kept`. Without one kept it is false, after as much work, so that the
     * time does not tell who exists. Throws when `kept` is no PHC string of scrypt.
     */
    async match(password: string, kept: string | null, turn: Turn): Promise<boolean> {
      const { salt, hash, options } = kept === null ? NOBODY : parse(kept)
      const derived = await derive(password, salt, options, turn)
      return timingSafeEqual(derived, hash) && kept !== null
    },
  }
}

function parse(kept: string): Kept {
  const [, logN, r, p, salt = '', hash = ''] = PHC.exec(kept) ?? []
  const bytes = Buffer.from(hash, 'base64')
  if (bytes.length !== HASH_BYTES)
    throw new Error('A stored password is not in the form in which we keep them.')
  const options = { N: 2 ** Number(logN), r: Number(r), p: Number(p), maxmem: MAX_MEMORY }
  return { salt: Buffer.from(salt, 'base64'), hash: bytes, options }
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
