import { mobileconfig } from '../support/mobileconfig.ts'
import { expect, test } from 'vitest'
import { sql } from 'kysely'
import type { Db } from '../../src/db/index.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { ADMIN_TOKEN, CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityOf } from '../support/half-enrolled.ts'

const OLD = Buffer.alloc(32, 7)
const NEW = Buffer.alloc(32, 8)
const oldBox = createSecretBox({ key: OLD })
const newBox = createSecretBox({ key: NEW })

/** Every column of the schema that holds sealed things. */
const SEALED = [
  'ade_servers.private_key',
  'ade_servers.staged_private_key',
  'ade_servers.token',
  'checkin_messages.raw',
  'commands.body',
  'device_cas.private_key',
  'enrollment_links.key_sealed',
  'enrollments.bootstrap_token',
  'enrollments.unlock_token',
  'idempotency_keys.body',
  'instance.secret_probe',
  'profile_revisions.content',
  'profile_signers.private_key',
  'push_certificates.private_key',
  'secrets.value',
  'sign_in_sources.client_secret',
  'web_sessions.state',
]

/** The columns with a value that was sealed with the key of `box`, whatever they are. */
async function columnsSealedBy(db: Db, { header }: { header: Buffer }): Promise<string[]> {
  const { rows: columns } = await sql<{ table: string; column: string; type: string }>`
    select table_name as table, column_name as column, data_type as type from information_schema.columns
    join pg_class on relname = table_name and not relispartition and relkind in ('r', 'p')
    where table_schema = 'public' and data_type in ('bytea', 'text')`.execute(db.kysely)
  const found: string[] = []
  for (const { table, column, type } of columns) {
    const start = type === 'bytea' ? header : header.toString('base64')
    const { rows } = await sql`
      select 1 from ${sql.table(table)}
      where substring(${sql.ref(column)} from 1 for ${sql.lit(start.length)}) = ${start} limit 1`.execute(
      db.kysely,
    )
    if (rows.length > 0) found.push(`${table}.${column}`)
  }
  return found.toSorted()
}

describeEachEngine('change of the secret key', (database) => {
  const shared = (): Db => ({ ...database(), close: () => Promise.resolve() })
  const start = (
    secretKey: Buffer,
    previousSecretKey: Buffer | null,
    rest: Partial<Parameters<typeof startTestApp>[0]> = {},
  ) => startTestApp({ db: shared(), secretKeys: { secretKey, previousSecretKey }, ...rest })

  const postOnce = async (world: TestApp) => {
    const answer = await fetch(`${world.url}/api/v1/api-tokens`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        'content-type': 'application/json',
        'idempotency-key': 'the-same-one',
      },
      body: JSON.stringify({ name: 'script', role: 'viewer' }),
    })
    expect(answer.status).toBe(201)
    return (await answer.json()) as { secret: string }
  }

  test('everything that the old key sealed is readable with the new one alone, once it is said so', async () => {
    const before = await start(OLD, null)
    const { apns, clock } = before
    const device = await before.enrolled()
    const { udid } = device.facts
    const token = { MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.from('bootstrap'), UDID: udid }
    const signer = identityOf(device)
    const set = await putMessage(`${before.url}/mdm/checkin`, token, { signer, type: CHECK_IN })
    expect(set.status).toBe(200)
    const made = await postOnce(before)
    const lock = { request_type: 'DeviceLock', command: { PIN: '987654' }, device_ids: [udid] }
    expect((await before.api('POST', '/commands', { ...lock, priority: 'high' })).status).toBe(202)
    const link = await before.link()
    expect((await before.api('PUT', '/secrets/psk', { value: 'of the network' })).status).toBe(200)
    expect((await before.api('POST', '/profiles', Buffer.from(mobileconfig()))).status).toBe(201)
    const oidc = { issuer: 'https://login.example.com', client_id: 'x', client_secret: 'of the client' }
    expect((await before.api('POST', '/sign-in-sources', { kind: 'oidc', name: 'O', ...oidc })).status).toBe(
      201,
    )
    const ade = (await before.api('POST', '/ade-servers', { name: 'A' })).body.id
    const { kysely } = database()
    await sql`update ade_servers set token = ${oldBox.seal(Buffer.from('{}'), `ade_servers.token:${ade}`)}`.execute(
      kysely,
    )
    expect((await before.api('POST', `/ade-servers/${ade}/encryption-key`)).status).toBe(201)
    const session = Buffer.from('a session')
    const state = oldBox.seal(Buffer.from('{}'), `web_session:${session.toString('hex')}`)
    await sql`
      insert into web_sessions values (${session}, ${state}, ${new Date(Date.now() + 3_600_000)}, ${new Date()})`.execute(
      kysely,
    )
    await before.app.close()
    expect(await columnsSealedBy(database(), oldBox)).toEqual(SEALED)

    await expect(start(NEW, null, { apns, clock })).rejects.toMatchObject({ code: 'conflict' })

    const between = await start(NEW, OLD, { apns, clock })
    for (let turns = 0; turns < 100 && !between.logText().includes('secrets.rotated'); turns++)
      await between.pass(11_000)
    expect(between.logText()).toContain('"event":"secrets.resealed"')
    expect(between.logText()).toContain('FIRSTBOOT_SECRET_KEY_PREVIOUS is not needed')
    await between.close()
    expect(await columnsSealedBy(database(), oldBox)).toEqual([])
    expect(await columnsSealedBy(database(), newBox)).toEqual(SEALED)

    await expect(start(OLD, null, { apns, clock })).rejects.toMatchObject({ code: 'conflict' })
    const after = await start(NEW, null, { apns, clock })
    const links = (await after.api('GET', '/enrollment-links')).body.items as { url: string }[]
    expect(links.map(({ url }) => new URL(url).pathname)).toContain(new URL(link).pathname)
    expect(await postOnce(after)).toEqual(made)
    const idle = { Status: 'Idle', UDID: udid }
    const command = await putMessage(`${after.url}/mdm/connect`, idle, { signer })
    expect(command.body.toString()).toContain('<string>987654</string>')
    const asked = await putMessage(
      `${after.url}/mdm/checkin`,
      { MessageType: 'GetBootstrapToken', UDID: udid },
      { signer, type: CHECK_IN },
    )
    expect(asked.body.toString()).toContain(Buffer.from('bootstrap').toString('base64'))
    const [row] = (
      await sql<{ unlock_token: Buffer; raw: Buffer }>`
        select unlock_token, raw from enrollments join checkin_messages on enrollment_id = id
        where id = ${udid} and message_type = 'Authenticate'`.execute(kysely)
    ).rows
    expect(newBox.open(row!.raw, `checkin_messages.raw:${udid}`).toString()).toContain(TOPIC)
    expect(newBox.open(row!.unlock_token, `enrollments.unlock_token:${udid}`)).not.toHaveLength(0)
    const pushed = apns.pushes.length
    await after.api('POST', `/devices/${udid}/push`)
    const hasPushed = () => apns.pushes.length > pushed
    for (let turns = 0; turns < 100 && !hasPushed(); turns++) await after.pass(2_000)
    await expect.poll(hasPushed).toBe(true)
    await after.app.close()
    await apns.close()
  })
})
