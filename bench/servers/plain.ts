import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { sql } from 'kysely'
import { loadConfig } from '../../src/config/config.ts'
import { readEnv } from '../../src/config/env.ts'
import { loadSecrets } from '../../src/config/secrets.ts'
import { openDatabase, type Tx } from '../../src/db/index.ts'
import { createAttempts, createStrangers } from '../../src/features/attempts/index.ts'
import { createDeviceIdentity } from '../../src/features/device-identity/index.ts'
import { createEvents } from '../../src/features/events/index.ts'
import { createAccessLog } from '../../src/http/access-log.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { createLog } from '../../src/kernel/log.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { buildCommand, readCheckin, readResult, type ReadResult } from '../../src/protocol/mdm/index.ts'
import { createOrdinary } from './ordinary.ts'
import { plainEnrollment } from './plain-enrollment.ts'
import { plainPowerOn } from './plain-power-on.ts'
import { answerBench } from './protocol.ts'

/**
 * The baseline: what a good developer writes at first. Fastify, the same codecs and signature check, the same schema and log
 * lines, and one transaction of ordinary kysely statements per request.
 */
const env = readEnv()
const config = loadConfig(env)
const secrets = loadSecrets(env, config.dataDir)
const log = createLog({ level: config.logLevel, destination: { write: () => undefined } })
const db = await openDatabase({
  ...(secrets.databaseUrl !== null && { url: secrets.databaseUrl }),
  dataDir: config.dataDir,
  log,
})
const clock = systemClock
const secretBox = createSecretBox({ key: secrets.secretKey, previous: secrets.previousSecretKey })
const metrics = createMetrics()
const events = createEvents({ db, clock, log, metrics })
const attempts = createAttempts({ db, clock, events })
const strangers = createStrangers({ db, clock, events })
const identity = createDeviceIdentity({
  db,
  clock,
  log,
  events,
  attempts,
  strangers,
  secretBox,
  deviceCa: null,
})
await identity.authority.ready()
const ordinary = createOrdinary({ clock, events })

/** Finds the live enrollment that a certificate acts for. */
async function findCaller(trx: Tx, id: string, fingerprint: Buffer) {
  const binding = await trx
    .selectFrom('enrollment_certificates')
    .select('state')
    .where('enrollment_id', '=', id)
    .where('fingerprint', '=', fingerprint)
    .executeTakeFirst()
  if (binding?.state !== 'active') return undefined
  const enrollment = await trx.selectFrom('enrollments').selectAll().where('id', '=', id).executeTakeFirst()
  return enrollment?.unenrolled_at === null ? enrollment : undefined
}

async function finish(
  trx: Tx,
  id: string,
  serial: string | null,
  result: ReadResult,
  now: Date,
): Promise<void> {
  const done = await trx
    .deleteFrom('pending_deliveries')
    .where('enrollment_id', '=', id)
    .where('command_uuid', '=', result.commandUuid ?? '')
    .returningAll()
    .executeTakeFirst()
  if (!done) return
  const command = await trx
    .selectFrom('commands')
    .select('request_type')
    .where('uuid', '=', done.command_uuid)
    .executeTakeFirst()
  await trx
    .insertInto('delivery_history')
    .values({
      enrollment_id: id,
      command_uuid: done.command_uuid,
      state: result.status === 'Acknowledged' ? 'acknowledged' : 'error',
      error_chain: result.errorChain ?? null,
      result: result.packed,
      not_now_count: done.not_now_count,
      created_at: done.created_at,
      sent_at: done.sent_at,
      finished_at: now,
    })
    .execute()
  await trx
    .insertInto('event_outbox')
    .values({
      type: 'command.acknowledged',
      at: now,
      enrollment_id: id,
      serial_number: serial,
      user_name: null,
      reason: null,
      attempt_id: null,
      data: JSON.stringify({ command_uuid: done.command_uuid, request_type: command?.request_type }),
    })
    .execute()
  const { inventory } = result
  if (inventory === undefined || result.status !== 'Acknowledged') return
  const answer = { received_at: now, data: inventory.packed }
  await trx
    .insertInto('device_inventory')
    .values({ enrollment_id: id, kind: inventory.kind, ...answer })
    .onConflict((conflict) => conflict.columns(['enrollment_id', 'kind']).doUpdateSet(answer))
    .execute()
}

async function nextCommand(trx: Tx, id: string, result: ReadResult, now: Date): Promise<Buffer | undefined> {
  let query = trx
    .selectFrom('pending_deliveries')
    .select('command_uuid')
    .where('enrollment_id', '=', id)
    .where((eb) => eb.or([eb('not_before', 'is', null), eb('not_before', '<=', now)]))
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .orderBy('priority', 'desc')
    .orderBy('seq')
    .limit(1)
  if (result.status !== 'Idle') query = query.where('state', '<>', 'not_now')
  const next = await query.executeTakeFirst()
  if (!next) return undefined
  await trx
    .updateTable('pending_deliveries')
    .set({ state: 'sent', sent_at: now })
    .where('enrollment_id', '=', id)
    .where('command_uuid', '=', next.command_uuid)
    .execute()
  const command = await trx
    .selectFrom('commands')
    .select('body')
    .where('uuid', '=', next.command_uuid)
    .executeTakeFirst()
  return command?.body
}

async function connect(request: FastifyRequest, reply: FastifyReply) {
  const body = request.body as Buffer
  const result = readResult(body)
  const caller = await identity.verifySignature(String(request.headers['mdm-signature']), body)
  if ('problem' in caller) return reply.code(400).send()
  const next = await db.transaction(async (trx) => {
    const now = clock.now()
    const enrollment = await findCaller(trx, result.identity.id, caller.fingerprint)
    if (!enrollment) return null
    await trx.updateTable('enrollments').set({ last_seen_at: now }).where('id', '=', enrollment.id).execute()
    await trx.deleteFrom('push_needs').where('enrollment_id', '=', enrollment.id).execute()
    if (result.status !== 'Idle') await finish(trx, enrollment.id, enrollment.serial_number, result, now)
    return nextCommand(trx, enrollment.id, result, now)
  })
  if (next === null) return reply.code(403).send()
  return next === undefined ? reply.code(200).send() : reply.code(200).type('application/xml').send(next)
}

async function checkin(request: FastifyRequest, reply: FastifyReply) {
  const body = request.body as Buffer
  const read = readCheckin(body)
  const caller = await identity.verifySignature(String(request.headers['mdm-signature']), body)
  if ('problem' in caller) return reply.code(400).send()
  const { message } = read
  if (message.messageType === 'Authenticate') {
    await enrollment.authenticate(message, caller.fingerprint, body)
    return reply.code(200).send()
  }
  if (message.messageType !== 'TokenUpdate') return reply.code(400).send()
  const ok = await db.transaction(async (trx) => {
    const now = clock.now()
    const found = await findCaller(trx, message.identity.id, caller.fingerprint)
    if (!found) return false
    await trx
      .updateTable('enrollments')
      .set({
        push_token: Buffer.from(message.token),
        push_magic: message.pushMagic,
        ...(message.unlockToken && { unlock_token: secretBox.seal(message.unlockToken, 'unlock') }),
        token_update_tally: sql<number>`token_update_tally + 1`,
        token_updated_at: now,
        enrolled_at: found.enrolled_at ?? now,
        push_state: 'ok',
        last_seen_at: now,
        updated_at: now,
      })
      .where('id', '=', found.id)
      .execute()
    await trx
      .insertInto('checkin_messages')
      .values({
        enrollment_id: found.id,
        message_type: 'TokenUpdate',
        received_at: now,
        raw: secretBox.seal(body, 'raw'),
      })
      .execute()
    await ordinary.emit(trx, { type: 'device.token_updated', enrollment_id: found.id, data: { tally: 1 } })
    if (found.token_update_tally === 0) await enrollment.complete(trx, found)
    return true
  })
  return reply.code(ok ? 200 : 403).send()
}

const app = fastify({ logger: false, bodyLimit: 16 * 1024 * 1024 })
app.decorateRequest('refusal', null)
const accessLogs = {
  device: createAccessLog({ scope: 'device', quiet: 'debug', log, metrics }),
  enroll: createAccessLog({ scope: 'enroll', quiet: 'info', log, metrics }),
}
app.addHook('onResponse', function (request, reply, done) {
  accessLogs[request.url.startsWith('/enroll/') ? 'enroll' : 'device'].call(this, request, reply, done)
})
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
const enrollment = plainEnrollment({ app, db, clock, secretBox, events, ordinary, identity, secrets, log })
plainPowerOn({ app, config, db, clock, ordinary, identity })
app.put('/mdm/connect', connect)
app.put('/mdm/checkin', checkin)
const address = await app.listen({ host: '127.0.0.1', port: config.listener.port })

answerBench({
  port: Number(new URL(address).port),
  async stop() {
    await app.close()
    await identity.close()
    await db.close()
  },
  async queue(uuids, enrollmentIds) {
    await db.transaction(async (trx) => {
      for (const uuid of uuids) {
        const now = clock.now()
        await trx
          .insertInto('commands')
          .values({
            uuid,
            request_type: 'ProfileList',
            purpose: null,
            body: buildCommand(uuid, 'ProfileList'),
            not_before: null,
            expires_at: null,
            target_ids: enrollmentIds,
            created_by: null,
            created_at: now,
          })
          .execute()
        await trx
          .insertInto('pending_deliveries')
          .values(
            enrollmentIds.map((enrollment_id) => ({
              enrollment_id,
              command_uuid: uuid,
              priority: 0,
              not_before: null,
              expires_at: null,
              sent_at: null,
              push_at: now,
              created_at: now,
            })),
          )
          .execute()
      }
    })
  },
  async sql(text) {
    await sql.raw(text).execute(db.kysely)
  },
})
