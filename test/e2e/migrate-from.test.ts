import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase, type Db } from '../../src/db/index.ts'
import { migrateFrom } from '../../src/migrate-from.ts'
import { createLog } from '../../src/kernel/log.ts'
import { parsePlist, writePlist, type PlistDict } from '../../src/protocol/plist/index.ts'
import { writePem, type Identity } from '../../src/protocol/x509/index.ts'
import { createApnsCertificates } from '../../src/simulator/index.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { emptyPostgresDatabase, testDatabase, type TestDatabase } from '../support/database.ts'
import { testCa, testDevice } from '../support/identities.ts'
import { nanomdmDatabase, type NanomdmDatabase } from '../support/nanomdm-database.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const OLD_TOPIC = 'com.apple.mgmt.External.01d00000-0000-4000-8000-000000000001'
const UNLOCK = Buffer.from('an unlock token')
const BOOTSTRAP = Buffer.from('a bootstrap token')

let db: TestDatabase
let world: TestApp
let ca: Identity
beforeAll(async () => {
  db = await testDatabase('postgres')
  world = await startTestApp({ db })
  ca = await testCa()
})
afterAll(() => world.close())

const xml = (message: PlistDict) => Buffer.from(writePlist(message)).toString()
const certificate = (template = {}) => testDevice(ca, template, 'other')
const sha = (identity: Identity) => identity.certificate.fingerprint
const newId = () => randomUUID().toUpperCase()
const authenticateOf = (UDID: string) =>
  xml({
    MessageType: 'Authenticate',
    UDID,
    Topic: OLD_TOPIC,
    SerialNumber: serialOf(UDID),
    OSVersion: '18.1',
  })
const tokenOf = (UDID: string, more: PlistDict = {}) =>
  xml({
    MessageType: 'TokenUpdate',
    UDID,
    Topic: OLD_TOPIC,
    PushMagic: 'm',
    Token: Buffer.from('t'),
    ...more,
  })
const serialOf = (udid: string) => `S${udid.slice(0, 8)}`
const row = (id: string) =>
  db.kysely.selectFrom('enrollments').selectAll().where('id', '=', id).executeTakeFirst()
const idle = async (udid: string, signer: Identity, more = {}) =>
  (await putMessage(`${world.url}/mdm`, { Status: 'Idle', UDID: udid, ...more }, { signer })).status

interface Given {
  certificates?: Identity[]
  enabled?: boolean
  seen?: string
  user?: string
  authenticate?: string
  token?: string
}

async function add(source: NanomdmDatabase, id: string, given: Given = {}): Promise<void> {
  const { certificates = [], enabled = true, seen = '2026-01-01', user } = given
  const [first] = certificates
  await source.run('insert into devices values ($1, $2, $3, $4, $5, $6, $7)', [
    ...[id, first ? writePem('CERTIFICATE', first.certificate.der) : null, serialOf(id)],
    ...[UNLOCK.toString(), given.authenticate ?? authenticateOf(id), given.token ?? tokenOf(id)],
    BOOTSTRAP.toString('base64'),
  ])
  await source.run("insert into enrollments values ($1, $1, null, 'Device', $2, $3, $4)", [
    id,
    OLD_TOPIC,
    enabled,
    seen,
  ])
  for (const each of certificates)
    await source.run('insert into cert_auth_associations (id, sha256) values ($1, $2)', [id, sha(each)])
  if (user === undefined) return
  const channel = `${id}:${user}`
  await source.run('insert into users values ($1, $2, $3)', [
    channel,
    id,
    tokenOf(id, { UserID: user, UserShortName: 'ada' }),
  ])
  await source.run("insert into enrollments values ($1, $2, $1, 'User', $3, true, now())", [
    channel,
    id,
    OLD_TOPIC,
  ])
}

async function migrate(asked: {
  databaseUrl?: string
  folder?: string
  only?: string
  dryRun?: boolean
  ca?: boolean
  into?: Db
}) {
  let out = ''
  const code = await migrateFrom(
    {
      config: {
        dataDir: '',
        publicUrl: world.url,
        ade: { url: world.url, caPem: null },
        apns: { url: world.url, caPem: null },
      },
      secrets: { databaseUrl: null, secretKey: Buffer.alloc(32, 7), previousSecretKey: null, deviceCa: null },
      log: createLog({ level: 'silent' }),
      clock: world.clock,
      db: asked.into ?? db,
    },
    {
      ...{ databaseUrl: asked.databaseUrl, folder: asked.folder, only: asked.only },
      caPem: asked.ca ? writePem('CERTIFICATE', ca.certificate.der) : undefined,
      dryRun: asked.dryRun ?? false,
      json: true,
      write: (text) => (out += text),
      tell: () => undefined,
    },
  )
  return { code, report: JSON.parse(out) }
}

test('a NanoMDM moves in, and its devices go on with their certificates', async () => {
  const databaseUrl = await emptyPostgresDatabase()
  const source = await nanomdmDatabase(databaseUrl)
  const push = await (await createApnsCertificates(new Date())).pushCertificate(OLD_TOPIC)
  await source.run('insert into push_certs values ($1, $2, $3)', [OLD_TOPIC, push.certificate, push.key])
  await source.run("insert into push_certs values ('nonsense', 'nonsense', 'nonsense')")
  const [one, awaiting, off, broken, two] = [newId(), newId(), newId(), newId(), newId()]
  const own = await certificate({ notAfter: new Date('2027-03-01') })
  const [older, newer] = [await certificate(), await certificate()]
  await add(source, one, { certificates: [own], user: 'U1' })
  await add(source, awaiting)
  await add(source, off, { enabled: false })
  await add(source, broken, { authenticate: 'nonsense' })
  await add(source, two, { certificates: [older, newer] })
  const enrolled = await world.enrolled()
  await add(source, enrolled.facts.udid, { certificates: [await certificate()] })

  const counts = { moved: 3, not_enrolled_there: 1, failed: 1, enrolled_here: 1, updated: 0, unchanged: 0 }
  const dry = await migrate({ databaseUrl, dryRun: true })
  expect(dry.code).toBe(1)
  expect(dry.report).toMatchObject({
    ...{ dry_run: true, trusted_cas: 0, devices: counts, users: 1, awaiting_certificate: 1, unknown: [] },
    push_certificates: [
      { topic: OLD_TOPIC, state: 'stored' },
      { topic: 'nonsense', state: 'failed' },
    ],
    certificates: [
      { device_id: one, serial_number: serialOf(one), not_after: '2027-03-01T00:00:00.000Z', trusted: false },
      { device_id: two, trusted: false },
    ],
    problems: [{ device_id: broken, problem: expect.any(String) }],
  })
  for (const id of [one, awaiting, two]) expect(await row(id)).toBeUndefined()
  expect((await world.api('GET', `/push-certificates/${OLD_TOPIC}`)).status).toBe(404)

  const real = await migrate({ databaseUrl, ca: true })
  expect(real.report).toMatchObject({ dry_run: false, trusted_cas: 1, devices: counts, users: 1 })
  expect(real.report.certificates.every(({ trusted }: { trusted: boolean }) => trusted)).toBe(true)
  expect((await world.api('GET', `/push-certificates/${OLD_TOPIC}`)).body.in_use).toBe(false)
  expect((await world.api('GET', `/push-certificates/${TOPIC}`)).body.in_use).toBe(true)
  expect((await world.api('GET', `/devices/${one}`)).body).toMatchObject({
    state: 'enrolled',
    serial_number: serialOf(one),
  })

  expect(await idle(one, own)).toBe(200)
  expect(await idle(one, own, { UserID: 'U1' })).toBe(200)
  const token = await putMessage(
    `${world.url}/checkin`,
    { MessageType: 'GetBootstrapToken', UDID: one },
    { signer: own, type: CHECK_IN },
  )
  expect(Buffer.from((parsePlist(token.body) as { BootstrapToken: Uint8Array }).BootstrapToken)).toEqual(
    BOOTSTRAP,
  )
  expect((await row(one))?.unlock_token).not.toBeNull()
  // Neither may a stranger, nor another device, speak for one; one without a known certificate takes the first.
  expect(await idle(one, await certificate())).toBe(403)
  expect(await idle(one, newer)).toBe(403)
  expect(await idle(awaiting, own)).toBe(403)
  expect(await idle(awaiting, await certificate())).toBe(200)
  for (const signer of [older, newer]) expect(await idle(two, signer)).toBe(200)
  expect(await idle(off, await certificate())).toBe(403)
  expect((await enrolled.poll()).results.Error).toBe(0)
  await source.close()
})

test('run again it brings what is newer, and overwrites nothing that a device told here', async () => {
  const databaseUrl = await emptyPostgresDatabase()
  const source = await nanomdmDatabase(databaseUrl)
  const [silent, spoken, left] = [newId(), newId(), newId()]
  const [of1, of2, of3] = [await certificate(), await certificate(), await certificate()]
  await add(source, silent, { certificates: [of1] })
  await add(source, spoken, { certificates: [of2] })
  await add(source, left, { certificates: [of3] })
  expect(
    (await migrate({ databaseUrl, only: `${serialOf(silent)}\n`, ca: true })).report.devices,
  ).toMatchObject({ moved: 1 })
  const some = await migrate({ databaseUrl, only: `${spoken.toLowerCase()}\n\n${left}\r\nnobody`, ca: true })
  expect([some.code, some.report.devices.moved, some.report.unknown]).toEqual([1, 2, ['nobody']])

  const news = {
    MessageType: 'TokenUpdate',
    UDID: spoken,
    Topic: OLD_TOPIC,
    PushMagic: 'm',
    Token: Buffer.from('told here'),
  }
  await putMessage(`${world.url}/mdm`, news, { signer: of2, type: CHECK_IN })
  await putMessage(
    `${world.url}/mdm`,
    { MessageType: 'CheckOut', UDID: left, Topic: OLD_TOPIC },
    { signer: of3, type: CHECK_IN },
  )
  expect((await migrate({ databaseUrl })).report.devices).toMatchObject({
    unchanged: 1,
    spoken_here: 1,
    left_here: 1,
    moved: 0,
  })
  for (const id of [silent, spoken])
    await source.run('update devices set token_update = $2 where id = $1', [
      id,
      tokenOf(id, { Token: Buffer.from('newer') }),
    ])
  await source.run("update devices set bootstrap_token_b64 = 'bmV3ZXI=' where id = $1", [silent])
  const again = await migrate({ databaseUrl })
  expect([again.code, again.report.devices]).toMatchObject([0, { updated: 1, spoken_here: 1, left_here: 1 }])
  expect((await row(silent))?.push_token?.toString()).toBe('newer')
  expect((await row(spoken))?.push_token?.toString()).toBe('told here')
  expect((await migrate({ databaseUrl })).report.devices).toMatchObject({ unchanged: 1, updated: 0 })
  // It went back to where it was, and enrolled there anew.
  const anew = await certificate()
  await source.run("update enrollments set last_seen_at = '2040-01-01' where id = $1", [left])
  await source.run('insert into cert_auth_associations (id, sha256) values ($1, $2)', [left, sha(anew)])
  expect((await migrate({ databaseUrl })).report.devices).toMatchObject({ moved: 1, left_here: 0 })
  expect(await idle(left, anew)).toBe(200)
  expect(await idle(silent, of1)).toBe(200)
  await source.close()
})

test('a certificate of somebody here moves in with nobody', async () => {
  const databaseUrl = await emptyPostgresDatabase()
  const source = await nanomdmDatabase(databaseUrl)
  const device = await world.enrolled()
  const [first, second, third] = [newId(), newId(), newId()].toSorted()
  const shared = await certificate()
  await add(source, first ?? '', { certificates: [shared] })
  await add(source, second ?? '', { certificates: [shared] })
  const [bound] = await db.kysely
    .selectFrom('enrollment_certificates')
    .selectAll()
    .where('enrollment_id', '=', device.facts.udid)
    .execute()
  await add(source, third ?? '')
  await source.run('insert into cert_auth_associations (id, sha256) values ($1, $2)', [
    third,
    bound?.fingerprint.toString('hex'),
  ])
  const { report } = await migrate({ databaseUrl })
  expect(report.devices).toMatchObject({ moved: 1, failed: 2 })
  expect(await row(third ?? '')).toBeUndefined()
  await source.close()
})

test('what is no database of NanoMDM is refused', async () => {
  const databaseUrl = await emptyPostgresDatabase()
  await expect(migrate({ databaseUrl })).rejects.toThrow(
    'This is no database of NanoMDM: it has no table devices.',
  )
  const source = await nanomdmDatabase(databaseUrl)
  await source.run('alter table push_certs drop column key_pem')
  await expect(migrate({ databaseUrl })).rejects.toThrow('push_certs lacks key_pem')
  await source.run('alter table push_certs add column key_pem text')
  // An older version has no columns for what came later.
  await source.run('alter table devices drop column bootstrap_token_b64, drop column identity_cert')
  expect((await migrate({ databaseUrl })).code).toBe(0)
  await source.close()
})

test('a CA alone is trusted, and moves nobody in', async () => {
  const before = await db.kysely.selectFrom('enrollments').select('id').execute()
  const { code, report } = await migrate({ ca: true, dryRun: true })
  expect([code, report]).toEqual([0, { dry_run: true, trusted_cas: 0 }])
  expect(await db.kysely.selectFrom('enrollments').select('id').execute()).toHaveLength(before.length)
})

test('its file store moves in as well', async () => {
  const { path: folder, remove } = temporaryFolder()
  await expect(migrate({ folder })).rejects.toThrow('This is no file store of NanoMDM')
  const [one, off] = [newId(), newId()]
  const own = await certificate()
  const write = async (id: string, files: Record<string, string | Buffer>) => {
    await mkdir(path.join(folder, id, 'SubEnrollments'), { recursive: true })
    for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, id, name), content)
  }
  const files = {
    'TokenUpdate.plist': tokenOf(one),
    'BootstrapToken.dat': BOOTSTRAP,
    'UnlockToken.dat': UNLOCK,
  }
  await write(one, {
    ...files,
    'Authenticate.plist': authenticateOf(one),
    'SerialNumber.txt': serialOf(one),
    'CertAuth.sha256.txt': sha(own),
  })
  await writeFile(path.join(folder, one, 'SubEnrollments', `${one}:U`), '')
  await write(`${one}:U`, { 'TokenUpdate.plist': tokenOf(one, { UserID: 'U' }) })
  await write(off, {
    'Authenticate.plist': authenticateOf(off),
    'TokenUpdate.plist': tokenOf(off),
    Disabled: '',
  })
  const { code, report } = await migrate({ folder, ca: true })
  expect([code, report.devices.moved, report.users, report.devices.not_enrolled_there]).toEqual([0, 1, 1, 1])
  expect(await idle(one, own)).toBe(200)
  expect(await idle(one, own, { UserID: 'U' })).toBe(200)
  // So it does into a database in which no server has run yet.
  const into = await openDatabase({
    url: await emptyPostgresDatabase(),
    dataDir: '',
    log: createLog({ level: 'silent' }),
  })
  expect((await migrate({ folder, into })).report.devices.moved).toBe(1)
  await into.close()
  await remove()
})
