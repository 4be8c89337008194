import { type ScryptOptions, randomBytes, scrypt } from 'node:crypto'

/** OWASP's cost for scrypt with 32 MiB: N = 2^15, r = 8, p = 3; about 0.2 s on the thread pool. */
const LOG_N = 15
const BLOCK_SIZE = 8
const PARALLELISM = 3
const HASH_BYTES = 32
const SALT_BYTES = 16
const MAX_MEMORY = 64 * 1024 * 1024

/**
 * The form in which a password is kept: a PHC string (`$scrypt$ln=15,r=8,p=3$<salt>$<hash>`) that says how it was made.
 * The password counts in NFC (RFC 8265, section 4.2).
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const options = { N: 2 ** LOG_N, r: BLOCK_SIZE, p: PARALLELISM, maxmem: MAX_MEMORY }
  const hash = await derive(password.normalize('NFC'), salt, options)
  const parameters = `ln=${LOG_N},r=${BLOCK_SIZE},p=${PARALLELISM}`
  return `$scrypt$${parameters}$${unpadded(salt)}$${unpadded(hash)}`
}

function derive(password: string, salt: Buffer, options: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
