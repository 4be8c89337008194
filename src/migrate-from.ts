import type { Config } from './config/config.ts'
import type { Secrets } from './config/secrets.ts'
import { migrateToLatest, openDatabase, type Db } from './db/index.ts'
import { createAde } from './features/ade/index.ts'
import { createAttempts, createStrangers, explainReason } from './features/attempts/index.ts'
import { createCommands } from './features/commands/index.ts'
import { createDeviceIdentity } from './features/device-identity/index.ts'
import { createDevices } from './features/devices/index.ts'
import { createEnrollmentPolicies, type EnrollmentPolicies } from './features/enrollment-policies/index.ts'
import { createEvents } from './features/events/index.ts'
import { profileIdentifier } from './features/entry/index.ts'
import { createGovernor } from './features/governor/index.ts'
import { createGroups, type Groups } from './features/groups/index.ts'
import {
  databaseSource,
  fileSource,
  moveIn,
  reportText,
  trustedText,
  type MoveReport,
  type Source,
} from './features/nanomdm/index.ts'
import { createPush } from './features/push/index.ts'
import { createSettings, openInstance } from './features/settings/index.ts'
import { createSignin, type Signin } from './features/signin/index.ts'
import { createUsers } from './features/users/index.ts'
import { actOfServer } from './kernel/act.ts'
import { systemClock, type Clock } from './kernel/clock.ts'
import { AppError } from './kernel/errors.ts'
import { createHttpClient } from './kernel/http-client.ts'
import type { Log } from './kernel/log.ts'
import { createMetrics } from './kernel/metrics.ts'
import { createSecretBox } from './kernel/secret-box.ts'
import { createThreadPool } from './kernel/threads.ts'
import { createMessageReader, messageWorkerScript } from './protocol/mdm/index.ts'
import { readPemBundle, type Certificate } from './protocol/x509/index.ts'
import { makePartitions } from './retention.ts'
import { version } from './version.ts'

/** What moving in was asked for; one of `databaseUrl` and `folder`, or CAs alone. */
interface Asked {
  databaseUrl?: string | undefined
  folder?: string | undefined
  /** CAs to trust, in PEM. */
  caPem?: string | undefined
  /** Ids and serial numbers of devices, one a line. */
  only?: string | undefined
  dryRun: boolean
  json: boolean
  /** Takes the report, and how far it has come. */
  write: (text: string) => void
  tell: (text: string) => void
}

/** What it runs with: the settings of the server, whose database it writes. */
interface Start {
  config: Pick<Config, 'dataDir' | 'publicUrl' | 'ade' | 'apns'>
  secrets: Pick<Secrets, 'databaseUrl' | 'secretKey' | 'previousSecretKey' | 'deviceCa'>
  log: Log
  clock?: Clock
  /** An open database instead of the one that the settings name; it stays open. */
  db?: Db
}

/** Moves in what a NanoMDM has; gives the exit code: 1 when something could not be moved. */
export async function migrateFrom(start: Start, asked: Asked): Promise<number> {
  const { log, config } = start
  const cas = casIn(asked.caPem)
  const ours = start.db ?? (await openOurs(start))
  const { databaseUrl: url, folder } = asked
  const theirs = url === undefined ? null : await openDatabase({ url, dataDir: config.dataDir, log })
  try {
    await migrateToLatest(ours)
    await makePartitions(ours, start.clock ?? systemClock)
    const source = theirs === null ? folder && (await fileSource(folder)) : await databaseSource(theirs)
    const { parts, close } = await build(start, ours)
    try {
      return await move(parts, source || null, { ...asked, cas })
    } finally {
      await close()
    }
  } finally {
    await theirs?.close()
    if (start.db === undefined) await ours.close()
  }
}

/** Trusts the CAs, then moves; without a source that is all. */
async function move(
  parts: Awaited<ReturnType<typeof build>>['parts'],
  source: Source | null,
  { cas, dryRun, json, write, ...asked }: Asked & { cas: readonly Certificate[] },
): Promise<number> {
  const { authority } = parts.identity
  await authority.ready()
  const known = new Set(authority.trusted().map(({ id }) => id))
  const added = cas.filter(({ fingerprint }) => !known.has(fingerprint))
  if (!dryRun) await authority.trust(added)
  const counts = { dryRun, cas: added.length }
  if (source === null) {
    write(
      json
        ? `${JSON.stringify({ dry_run: dryRun, trusted_cas: added.length }, null, 2)}\n`
        : trustedText(counts),
    )
    return 0
  }
  const count = await source.count()
  const report = await moveIn(parts, source, {
    only: asked.only === undefined ? null : namesIn(asked.only),
    dryRun,
    act: { ...actOfServer(), via: 'cli' },
    trusted: [...authority.trusted().map(({ certificate }) => certificate), ...added],
    onProgress: (done) => asked.tell(`${done} of ${count} devices\n`),
  })
  write(
    json
      ? `${JSON.stringify({ dry_run: dryRun, trusted_cas: added.length, ...report }, null, 2)}\n`
      : reportText(report, counts),
  )
  return isWhole(report) ? 0 : 1
}

function openOurs({ config, secrets, log }: Start): Promise<Db> {
  const { databaseUrl } = secrets
  return openDatabase({ ...(databaseUrl !== null && { url: databaseUrl }), dataDir: config.dataDir, log })
}

function isWhole({ devices, push_certificates: certificates, unknown }: MoveReport): boolean {
  return devices.failed === 0 && unknown.length === 0 && certificates.every(({ state }) => state !== 'failed')
}

/** The CAs of a file. Throws `x509_invalid` for what is none. */
function casIn(pem: string | undefined): readonly Certificate[] {
  if (pem === undefined) return []
  const { certificates } = readPemBundle(pem)
  if (certificates.length === 0)
    throw new AppError('x509_invalid', 'There is no certificate in the file of --ca.')
  if (certificates.some(({ isCa }) => !isCa))
    throw new AppError(
      'x509_invalid',
      'A certificate in the file of --ca is not that of a certificate authority.',
    )
  return certificates
}

function namesIn(text: string): Set<string> {
  return new Set(
    text
      .split('\n')
      .map((line) => line.trim().toLowerCase())
      .filter((line) => line !== ''),
  )
}

/** The slices that are needed, without jobs, and without anybody who listens. */
async function build({ config, secrets, log, clock = systemClock }: Start, db: Db) {
  const secretBox = createSecretBox({ key: secrets.secretKey, previous: secrets.previousSecretKey })
  const metrics = createMetrics(version)
  const instanceId = await openInstance({ db, clock, secretBox })
  const threads = createThreadPool({ script: messageWorkerScript, size: 1 })
  const base = { db, clock, log, metrics, secretBox, publicUrl: config.publicUrl, instanceId }
  const userAgent = `Firstboot/${version}`
  const events = createEvents({ ...base, explainReason })
  const governor = createGovernor({ ...base, events })
  const settings = createSettings({ ...base, events })
  const devices = createDevices({ ...base, reader: createMessageReader(threads) })
  const users = createUsers({ ...base, events, settings })
  const attempts = createAttempts({ ...base, events })
  const strangers = createStrangers({ ...base, events })
  const push = createPush({ ...base, events, devices, box: secretBox, service: { url: config.apns.url } })
  const commands = createCommands({
    ...base,
    events,
    governor,
    devices,
    push,
    enrollmentIdentifier: profileIdentifier(instanceId),
  })
  const identity = createDeviceIdentity({ ...base, events, attempts, strangers, deviceCa: secrets.deviceCa })
  const signin: Signin = createSignin({ ...base, events, users, userAgent })
  const groups: Groups = createGroups({ ...base, events, governor, devices })
  const policies: EnrollmentPolicies = createEnrollmentPolicies({ ...base, events, groups, signin })
  const http = createHttpClient({ timeoutMs: 1_000, maxBytes: 1, userAgent, clock })
  const ade = createAde({
    ...base,
    events,
    governor,
    policies,
    devices,
    http,
    service: { url: config.ade.url },
  })
  return {
    parts: { ...base, events, devices, push, commands, identity, groups, ade },
    async close(): Promise<void> {
      await events.close()
      await commands.answers.close()
      await groups.membership.close()
      await ade.close()
      http.close()
      signin.close()
      await push.close()
      await devices.flush()
      await identity.close()
      await threads.close()
    },
  }
}
