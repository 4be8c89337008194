import { openPromise, type Entry, type ZipFile } from 'yauzl'
import { AppError } from '../../kernel/errors.ts'
import { type IpaFacts, readInfoPlist } from './info-plist.ts'

/** Far more files than any app has. */
const MAX_ENTRIES = 200_000
/** Of an Info.plist, packed and unpacked. */
const MAX_INFO_BYTES = 1024 * 1024
/** What is said to unpack to more than this, and to so many times its size, is made to fill a device. */
const MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
const MAX_UNPACKED_FACTOR = 100

/** The Info.plist of the app itself: neither that of an extension within it nor of a framework. */
const INFO_PLIST = /^Payload\/([^/]{1,255}\.app)\/Info\.plist$/
const IN_APP = /^Payload\/([^/]{1,255}\.app)\//

/**
 * Reads what an IPA says of its app from a file, which is not unpacked. Exactly one `Payload/<name>.app/Info.plist` counts.
 * Throws AppError `package_invalid`.
 */
export async function readIpa(path: string, bytes: number): Promise<IpaFacts> {
  const zip = await open(path)
  try {
    const entry = await findInfoPlist(zip, bytes)
    return readInfoPlist(await inflate(zip, entry))
  } catch (error) {
    throw error instanceof AppError ? error : damaged(error)
  } finally {
    zip.close()
  }
}

async function open(path: string): Promise<ZipFile> {
  try {
    return await openPromise(path, { autoClose: false, strictFileNames: true, validateEntrySizes: true })
  } catch (error) {
    if (isOfSystem(error)) throw error
    throw invalid('It is no ZIP archive.')
  }
}

async function findInfoPlist(zip: ZipFile, bytes: number): Promise<Entry> {
  if (zip.entryCount > MAX_ENTRIES) throw invalid(`It holds more than ${MAX_ENTRIES} files.`)
  const found: Entry[] = []
  const apps = new Set<string>()
  let unpacked = 0
  for await (const entry of zip.eachEntry()) {
    if (entry.isEncrypted()) throw invalid('It is encrypted.')
    unpacked += entry.uncompressedSize
    if (unpacked > MAX_UNPACKED_BYTES && unpacked > bytes * MAX_UNPACKED_FACTOR) {
      throw invalid(`It would unpack to more than ${MAX_UNPACKED_FACTOR} times its size.`)
    }
    const [, app] = IN_APP.exec(entry.fileName) ?? []
    if (app !== undefined && apps.size < 2) apps.add(app)
    if (INFO_PLIST.test(entry.fileName) && found.length < 2) found.push(entry)
  }
  const [info] = found
  if (info === undefined) throw invalid('It has no Payload/<name>.app/Info.plist.')
  if (found.length > 1 || apps.size > 1) throw invalid('It holds more than one app.')
  return info
}

/** Counted before it is unpacked and while it is: what a ZIP says of sizes need not be so. */
async function inflate(zip: ZipFile, entry: Entry): Promise<Buffer> {
  if (entry.uncompressedSize > MAX_INFO_BYTES || entry.compressedSize > MAX_INFO_BYTES) {
    throw invalid(`Its Info.plist is larger than ${MAX_INFO_BYTES} bytes.`)
  }
  const stream = await zip.openReadStreamPromise(entry)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    size += (chunk as Buffer).length
    if (size > MAX_INFO_BYTES) throw invalid(`Its Info.plist is larger than ${MAX_INFO_BYTES} bytes.`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks, size)
}

/** The library says in English what is wrong, and may repeat a name from the archive. */
function damaged(error: unknown): unknown {
  if (isOfSystem(error)) return error
  const message = error instanceof Error ? error.message : 'unknown'
  const shown = message.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)
  return invalid(`The ZIP archive is damaged, or has names that lead out of it: ${shown}.`)
}

/** A file of ours that cannot be read is not its sender's fault. */
function isOfSystem(error: unknown): boolean {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^E[A-Z]+$/.test(code)
}

function invalid(message: string): AppError {
  return new AppError('package_invalid', message)
}
