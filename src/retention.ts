import { dropPartitions, ensurePartitions, type Db } from './db/index.ts'
import type { Attempts } from './features/attempts/index.ts'
import type { Commands } from './features/commands/index.ts'
import type { Governor } from './features/governor/index.ts'
import type { Audit } from './features/operators/index.ts'
import type { Events, Outlets } from './features/events/index.ts'
import type { SettingsDoor } from './features/settings/index.ts'
import { addTime, type Clock } from './kernel/clock.ts'

/** Months for which partitions are made in advance. */
const MONTHS_AHEAD = 3
const PARTITIONED = ['delivery_history', 'checkin_messages'] as const

interface RetentionDeps extends Pick<Outlets, 'webhooks' | 'deviceMessages'> {
  db: Db
  clock: Clock
  settings: Pick<SettingsDoor, 'get'>
  events: Pick<Events, 'expire'>
  attempts: Pick<Attempts, 'deleteOld'>
  audit: Pick<Audit, 'expire'>
  commands: Pick<Commands, 'forget'>
  governor: Pick<Governor, 'approvals'>
}

/** Makes the partitions of this month and the next ones; also called before the server takes its first request. */
export async function makePartitions(db: Db, clock: Clock): Promise<void> {
  for (const table of PARTITIONED)
    await ensurePartitions(db, table, { now: clock.now(), ahead: MONTHS_AHEAD })
}

/** Deletes what is older than the settings say. */
export async function deleteOld(deps: RetentionDeps): Promise<void> {
  const { db, clock } = deps
  const settings = await deps.settings.get()
  const ago = (days: number) => addTime(clock.now(), -days, 'day')
  await dropPartitions(db, 'delivery_history', ago(settings.command_history_days))
  await dropPartitions(db, 'checkin_messages', ago(settings.checkin_message_days))
  await deps.commands.forget(settings.command_history_days)
  await deps.governor.approvals.forget(settings.command_history_days)
  await deps.events.expire(settings.event_days)
  await deps.deviceMessages.expire()
  await deps.webhooks.deleteDead()
  await deps.attempts.deleteOld(settings.attempt_days)
  await deps.audit.expire(settings.audit_days)
}
