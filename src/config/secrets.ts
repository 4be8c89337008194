import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { Env } from './env.ts'
import { parseAdminToken, parseDatabaseUrl, parseSecretKey, parseSharedKey } from './parse.ts'
import { type CertificateAndKey, readAuthority, readText } from './pem-files.ts'
import { mayOthers } from './private-files.ts'
import { ConfigError, type Reader, createReader } from './problems.ts'

/** What the server needs to know and must never print; kept apart from the config, which may be printed. */
export type Secrets = {
  /** 32 bytes that seal secrets at rest. */
  readonly secretKey: Buffer
  /** The key before the last rotation; still opens, never seals. */
  readonly previousSecretKey: Buffer | null
  readonly adminToken: string
  /** The file the admin token was made in or read from; null when the environment gave it. */
  readonly adminTokenFile: string | null
  /** Address of PostgreSQL, most often with a password; null = embedded database. */
  readonly databaseUrl: string | null
  /** The device CA to import at the first start, if one is given. */
  readonly deviceCa: CertificateAndKey | null
  /** With which questions to the declaration server are signed, and its answers must be; null = not. */
  readonly declarationKeys: { readonly send: Buffer | null; readonly verify: Buffer | null }
}

const PRIVATE_FILE_MODE = 0o600

type Given = Omit<Secrets, 'secretKey' | 'adminToken' | 'adminTokenFile'> & {
  readonly secretKey: Buffer | null
  readonly adminToken: string | null
}

/** Reads the secrets that the environment gives and notes what is wrong with them. Makes nothing. */
export function readGivenSecrets(reader: Reader): Given {
  if (reader.has('FIRSTBOOT_SECRET_KEY') && reader.has('FIRSTBOOT_SECRET_KEY_FILE')) {
    reader.note('FIRSTBOOT_SECRET_KEY_FILE', 'must not be set together with FIRSTBOOT_SECRET_KEY')
  }
  const fromFile = reader.read('FIRSTBOOT_SECRET_KEY_FILE', readKeyFile, null)
  return {
    secretKey: reader.read('FIRSTBOOT_SECRET_KEY', parseSecretKey, fromFile),
    previousSecretKey: reader.read('FIRSTBOOT_SECRET_KEY_PREVIOUS', parseSecretKey, null),
    adminToken: reader.read('FIRSTBOOT_ADMIN_TOKEN', parseAdminToken, null),
    databaseUrl: reader.read('FIRSTBOOT_DATABASE_URL', parseDatabaseUrl, null),
    deviceCa: reader.read('FIRSTBOOT_DEVICE_CA_FILE', readAuthority, null),
    declarationKeys: {
      send: reader.read('FIRSTBOOT_DECLARATION_HMAC_KEY', parseSharedKey, null),
      verify: reader.read('FIRSTBOOT_DECLARATION_VERIFY_HMAC_KEY', parseSharedKey, null),
    },
  }
}

function readKeyFile(file: string): Buffer {
  const text = readText(file).trim()
  if (mayOthers(file)) throw new Error(`names a file that others may read; run chmod 600 ${file}`)
  try {
    return parseSecretKey(text)
  } catch (error) {
    throw new Error(`names a file whose content is no key, which would be 32 bytes in base64: ${file}`, {
      cause: error,
    })
  }
}

/**
 * The secrets, complete: what the environment does not give is read from the data folder, and made there (mode 0600)
 * at the first start. Throws a ConfigError when a given one or a file of the folder is not usable.
 */
export function loadSecrets(env: Env, dataDir: string): Secrets {
  const reader = createReader(env)
  const given = readGivenSecrets(reader)
  if (reader.problems.length > 0) throw new ConfigError(reader.problems)
  const adminTokenFile = given.adminToken === null ? path.join(dataDir, 'admin-token') : null
  return {
    ...given,
    secretKey: given.secretKey ?? kept(path.join(dataDir, 'secret-key'), 'base64', parseSecretKey),
    adminToken: given.adminToken ?? kept(path.join(dataDir, 'admin-token'), 'base64url', parseAdminToken),
    adminTokenFile,
  }
}

/** The content of a private file of ours; the file is made first, from 32 random bytes, where there is none. */
function kept<T>(file: string, encoding: 'base64' | 'base64url', parse: (text: string) => T): T {
  try {
    createOnce(file, `${randomBytes(32).toString(encoding)}\n`)
    if (mayOthers(file)) throw new Error(`others may read it; run chmod 600 ${file}`)
    return parse(readText(file).trim())
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ConfigError([
      { variable: 'FIRSTBOOT_DATA_DIR', message: `has an unusable ${path.basename(file)}: ${message}` },
    ])
  }
}

/** Makes the file with its whole content or not at all, whatever else starts or dies at the same moment. */
function createOnce(file: string, content: string): void {
  if (statSync(file, { throwIfNoEntry: false }) !== undefined) return
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  const handle = openSync(draft, 'wx', PRIVATE_FILE_MODE)
  try {
    writeFileSync(handle, content)
    fsyncSync(handle)
    linkSync(draft, file)
  } catch (error) {
    // Another process was quicker: its file counts.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    closeSync(handle)
    unlinkSync(draft)
  }
}
