/**
 * The worker thread in which the embedded database lives, so that a slow statement never stops the event loop.
 * It speaks PostgreSQL's wire protocol over its message port; see `embedded.ts` for the other end.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { DurableFiles } from './embedded-files.ts'
import type { EngineData, FromEngine, ToEngine } from './embedded.ts'

if (parentPort === null) throw new Error('This file is the entry of a worker thread.')
const port = parentPort
const { folder, settings, program } = workerData as EngineData

const SESSION_RESET = [Buffer.from([0x53, 0, 0, 0, 4]), simpleQuery('rollback'), simpleQuery('discard all')]
const CONFIGURATION = ['fsync=on', 'wal_sync_method=fsync', 'shared_buffers=64MB', ...settings]
const START_PARAMETERS = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  ...CONFIGURATION.flatMap((each) => ['-c', each]),
]

const files = new DurableFiles(folder)
const pglite = await PGlite.create({
  fs: files,
  startParams: START_PARAMETERS,
  pgliteWasmModule: program,
})
port.on('message', (message: ToEngine) => {
  void answer(message)
})
tell({ kind: 'ready' })

async function answer(message: ToEngine): Promise<void> {
  if (message.kind === 'bytes') return exchange(message.session, message.bytes)
  if (message.kind === 'stats') return tell({ kind: 'stats', fsyncs: files.fsyncs })
  await pglite.close()
  tell({ kind: 'closed' })
  port.close()
}

/** A session that begins must not see what the one before it left (its transaction, its prepared statements). */
async function exchange(session: number, bytes: Uint8Array): Promise<void> {
  const isStartup = bytes[0] === 0
  if (isStartup) for (const message of SESSION_RESET) await run(message)
  const output = await run(bytes)
  port.postMessage({ kind: 'bytes', session, bytes: output } satisfies FromEngine, [output.buffer])
}

async function run(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  // A chunk is a view into memory that the next one overwrites.
  const onRawData = (chunk: Uint8Array): void => void chunks.push(new Uint8Array(chunk))
  await pglite.execProtocolRawStream(message, { syncToFs: false, onRawData })
  const [first] = chunks
  return chunks.length === 1 && first !== undefined ? first : concat(chunks)
}

function concat(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((total, { length }) => total + length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

function tell(message: FromEngine): void {
  port.postMessage(message)
}

function simpleQuery(text: string): Buffer {
  const body = Buffer.from(`Q\0\0\0\0${text}\0`)
  body.writeInt32BE(body.length - 1, 1)
  return body
}
