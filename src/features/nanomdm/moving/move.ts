import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { parseCertificate, readPem, verifyChain, type Certificate } from '../../../protocol/x509/index.ts'
import { moveInWhole, type MovedAs, type MovingDeps } from '../../enrollment/index.ts'
import type { Push } from '../../push/index.ts'
import type { Source, SourceDevice } from './source.ts'

const PAGE = 100

/** What moving in is made of. */
interface MoveDeps extends MovingDeps {
  push: MovingDeps['push'] & { certificates: Pick<Push['certificates'], 'bring'> }
}

/** What is wanted: `only` names devices by id or serial number, in lower case; `dryRun` changes nothing. */
interface Wanted {
  only: ReadonlySet<string> | null
  dryRun: boolean
  act: Act
  /** CAs whose certificates will be trusted. */
  trusted: readonly Certificate[]
  /** Called after each page. */
  onProgress: (done: number) => void
}

/** What has become of a device: as `moveInWhole` says, or it is not enrolled there, or could not be moved. */
type Outcome = MovedAs | 'not_enrolled_there' | 'failed'

/** What was done, or would be. */
export interface MoveReport {
  devices: Record<Outcome, number>
  users: number
  /** Devices that have no known certificate: the first one of a trusted CA becomes theirs. */
  awaiting_certificate: number
  push_certificates: { topic: string; state: 'stored' | 'kept' | 'failed'; problem?: string }[]
  /** Certificates of devices by their end. */
  certificates: { device_id: string; serial_number: string | null; not_after: string; trusted: boolean }[]
  /** Names of `only` that no device has. */
  unknown: string[]
  problems: { device_id: string; problem: string }[]
}

/** Ends a transaction of which nothing is to stay. */
class Undone extends Error {
  readonly result: Awaited<ReturnType<typeof moveInWhole>>

  constructor(result: Awaited<ReturnType<typeof moveInWhole>>) {
    super('undone')
    this.result = result
  }
}

/**
 * Moves in what a server has: push certificates, devices with their users, tokens and certificates. Each device is a transaction
 * of its own, so it can be ended at any time and run again. What cannot be moved is told, and the rest goes on.
 */
export async function moveIn(deps: MoveDeps, source: Source, wanted: Wanted): Promise<MoveReport> {
  const report: MoveReport = {
    devices: {
      ...{ moved: 0, updated: 0, unchanged: 0, spoken_here: 0, enrolled_here: 0, left_here: 0 },
      ...{ not_enrolled_there: 0, failed: 0 },
    },
    users: 0,
    awaiting_certificate: 0,
    push_certificates: await movePushCertificates(deps, source, wanted),
    certificates: [],
    unknown: [],
    problems: [],
  }
  const named = new Set<string>()
  let done = 0
  for (let after = ''; ;) {
    const page = await source.devices(after, PAGE)
    for (const device of page) {
      const names = [device.id, device.serialNumber ?? ''].map((name) => name.toLowerCase())
      if (wanted.only !== null && !names.some((name) => wanted.only?.has(name))) continue
      names.forEach((name) => named.add(name))
      await moveDevice(deps, device, wanted, report)
    }
    done += page.length
    wanted.onProgress(done)
    const last = page.at(-1)
    if (last === undefined) break
    after = last.id
  }
  report.unknown = [...(wanted.only ?? [])].filter((name) => !named.has(name))
  report.certificates.sort((a, b) => (a.not_after < b.not_after ? -1 : 1))
  return report
}

async function movePushCertificates(
  deps: MoveDeps,
  source: Source,
  { dryRun, act }: Wanted,
): Promise<MoveReport['push_certificates']> {
  const moved: MoveReport['push_certificates'] = []
  for (const { topic, pem } of await source.pushCertificates()) {
    try {
      const { isStored } = await deps.push.certificates.bring({ pem }, act, { dryRun })
      moved.push({ topic, state: isStored ? 'stored' : 'kept' })
    } catch (error) {
      moved.push({ topic, state: 'failed', problem: problemOf(error) })
    }
  }
  return moved
}

async function moveDevice(
  deps: MoveDeps,
  device: SourceDevice,
  wanted: Wanted,
  report: MoveReport,
): Promise<void> {
  const { authenticate, tokenUpdate } = device
  if (!device.isEnabled || authenticate === null || tokenUpdate === null) {
    report.devices.not_enrolled_there += 1
    return
  }
  try {
    const { as, users } = await moveOne(deps, { ...device, authenticate, tokenUpdate }, wanted)
    report.devices[as] += 1
    report.users += users
    if (as !== 'moved' && as !== 'updated' && as !== 'unchanged') return
    if (device.fingerprints.length === 0) report.awaiting_certificate += 1
  } catch (error) {
    report.devices.failed += 1
    report.problems.push({ device_id: device.id, problem: problemOf(error) })
    return
  }
  try {
    report.certificates.push(...(await certificateOf(device, wanted.trusted)))
  } catch (error) {
    report.problems.push({ device_id: device.id, problem: `Its certificate: ${problemOf(error)}` })
  }
}

async function moveOne(
  deps: MoveDeps,
  moved: SourceDevice & { authenticate: Buffer; tokenUpdate: Buffer },
  { dryRun, act }: Wanted,
): ReturnType<typeof moveInWhole> {
  try {
    return await deps.db.transaction(async (trx) => {
      const result = await moveInWhole(trx, deps, moved, act)
      if (dryRun) throw new Undone(result)
      return result
    })
  } catch (error) {
    if (error instanceof Undone) return error.result
    throw error
  }
}

/** When the certificate of a device ends, and whether it will be trusted here; nothing where it is not known. */
async function certificateOf(
  { id, serialNumber, certificatePem }: SourceDevice,
  trusted: readonly Certificate[],
): Promise<MoveReport['certificates']> {
  const [block] = certificatePem === null ? [] : readPem(certificatePem)
  if (block === undefined) return []
  const certificate = parseCertificate(block.der)
  const { ok } = await verifyChain(certificate, { trusted, at: null })
  const not_after = certificate.notAfter.toISOString()
  return [{ device_id: id, serial_number: serialNumber, not_after, trusted: ok }]
}

/** What is wrong with one thing, in a sentence; what concerns all ends everything. */
function problemOf(error: unknown): string {
  if (error instanceof AppError && error.code !== 'database_unavailable') return error.message
  throw error
}
