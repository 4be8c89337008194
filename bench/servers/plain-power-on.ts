import type { FastifyInstance } from 'fastify'
import type { Config } from '../../src/config/config.ts'
import type { Db, Tx } from '../../src/db/index.ts'
import type { DeviceIdentity } from '../../src/features/device-identity/index.ts'
import { findPolicy } from '../../src/features/enrollment-policies/store.ts'
import { checkDevice } from '../../src/features/entry/power-on/checks.ts'
import type { Machine } from '../../src/features/entry/power-on/machine.ts'
import { renderProfile } from '../../src/features/entry/profile.ts'
import { addTime, type Clock } from '../../src/kernel/clock.ts'
import { createMachineInfoTrust, readMachineInfo } from '../../src/protocol/ade/index.ts'
import { parseCertificate, readPem } from '../../src/protocol/x509/index.ts'
import type { Ordinary } from './ordinary.ts'

/**
 * First power-on of the baseline: the same codecs and decisions, and one transaction of ordinary statements in which key,
 * serial number, policy and push certificate are looked up, the open attempt is abandoned and a new one written.
 */
export function plainPowerOn(deps: {
  app: FastifyInstance
  config: Config
  db: Db
  clock: Clock
  ordinary: Ordinary
  identity: DeviceIdentity
}): void {
  const { app, config, db, clock, ordinary, identity } = deps
  const { trust: mode, caPem } = config.machineInfo
  const trust = createMachineInfoTrust({
    mode,
    caCertificates: readPem(caPem ?? '').map(({ der }) => parseCertificate(der)),
  })

  async function decide(trx: Tx, machine: Machine, key: string) {
    const address = await trx
      .selectFrom('ade_profiles')
      .select(['policy_id', 'ade_server_id'])
      .where('key', '=', key)
      .executeTakeFirst()
    const assignment = await trx
      .selectFrom('ade_devices')
      .selectAll()
      .where('serial_number', '=', machine.serial)
      .forUpdate()
      .executeTakeFirst()
    const policy = await findPolicy(trx, address?.policy_id ?? '')
    const push = await trx
      .selectFrom('push_certificates')
      .select('topic')
      .where('in_use', '=', true)
      .executeTakeFirst()
    if (address === undefined || policy === undefined || push === undefined) return undefined
    const { topic } = push
    const checked = checkDevice(machine, {
      policy,
      adeServerId: address.ade_server_id,
      assignment,
      topic,
      mayRepeat: true,
    })
    return checked.refusal === undefined ? { checked, policy, topic } : undefined
  }

  app.post<{ Params: { key: string } }>('/enroll/ade/:key', async (request, reply) => {
    const { info, signer, certificates } = readMachineInfo(request.body as Buffer)
    const { serial, udid } = info
    if (serial === undefined || udid === undefined) return reply.code(403).send()
    if (!(await trust.judge(signer, certificates)).accepted) return reply.code(403).send()
    const made = await db.transaction(async (trx) => {
      const decision = await decide(
        trx,
        { serial, udid, info, hash: '', distrust: undefined, isProven: true },
        request.params.key,
      )
      if (decision === undefined) return undefined
      const { checked, policy, topic } = decision
      await abandonOthers(trx, deps, serial)
      const id = await ordinary.open(
        trx,
        {
          way: 'ade',
          serial_number: serial,
          udid,
          policy_id: policy.id,
          deadline: addTime(clock.now(), 60, 'minute'),
        },
        ...checked.steps,
        { step: 'profile', outcome: 'passed' },
      )
      await trx
        .updateTable('ade_devices')
        .set((eb) => ({ contacted_at: clock.now(), running_profile_uuid: eb.ref('apple_profile_uuid') }))
        .where('serial_number', '=', serial)
        .execute()
      const challenge = await identity.newChallenge(trx, { attemptId: id, serial_number: serial, udid })
      return { reference: id, challenge, topic }
    })
    if (made === undefined) return reply.code(403).send()
    const { publicUrl } = config
    const profile = await renderProfile({ identity, publicUrl, instanceId: 'bench' }, made)
    return reply.type('application/x-apple-aspen-config').send(profile)
  })
}

async function abandonOthers(
  trx: Tx,
  { ordinary, identity, clock }: Parameters<typeof plainPowerOn>[0],
  serial: string,
): Promise<void> {
  const open = await trx
    .selectFrom('enrollment_attempts')
    .select('id')
    .where('serial_number', '=', serial)
    .where('outcome', '=', 'in_progress')
    .where('way', 'in', ['ade', 'ade_web'])
    .forUpdate()
    .execute()
  for (const { id } of open) {
    const now = clock.now()
    await trx
      .updateTable('enrollment_attempts')
      .set({ outcome: 'expired', reason: 'abandoned', closed_at: now, updated_at: now })
      .where('id', '=', id)
      .execute()
    await ordinary.step(trx, id, { step: 'contact', outcome: 'refused', reason: 'abandoned' })
    await identity.voidChallenges(trx, id)
    const abandoned = { type: 'enrollment.abandoned', reason: 'abandoned' } as const
    await ordinary.emit(trx, { ...abandoned, attempt_id: id, serial_number: serial, data: { way: 'ade' } })
  }
}
