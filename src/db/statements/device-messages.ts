import type { Selectable } from 'kysely'
import type { Db } from '../database.ts'
import type { DeviceMessagesTable } from '../tables/events.ts'
import { batchStatement } from './statement.ts'

/** What a device has said, before it has an id. */
export type NewDeviceMessage = Omit<Selectable<DeviceMessagesTable>, 'id' | 'token_update_tally'>

/** Serialises those who write messages, in all processes; an arbitrary number that nothing else locks. */
const MESSAGES_LOCK = 7_203_002

/**
 * Ids are given under a lock that is held until commit, so a smaller one is never seen after a greater one. Of a TokenUpdate it is
 * noted how many its channel has sent since it enrolled.
 */
const insert = batchStatement<NewDeviceMessage, { id: number }, never>({
  name: 'insert_device_messages',
  columns: {
    at: ['timestamptz', ({ at }) => at],
    topic: ['text', ({ topic }) => topic],
    enrollment_id: ['text', ({ enrollment_id }) => enrollment_id],
    channel: ['text', ({ channel }) => channel],
    parent_id: ['text', ({ parent_id }) => parent_id],
    udid: ['text', ({ udid }) => udid],
    user_enrollment_id: ['text', ({ user_enrollment_id }) => user_enrollment_id],
    status: ['text', ({ status }) => status],
    command_uuid: ['text', ({ command_uuid }) => command_uuid],
    raw: ['bytea', ({ raw }) => raw],
  },
  given: {},
  text: (input) => `
with given as (
  ${input}
), lock as materialized (
  select pg_advisory_xact_lock(${MESSAGES_LOCK})
)
insert into device_messages (at, topic, enrollment_id, channel, parent_id, udid, user_enrollment_id, status, command_uuid, raw,
  token_update_tally)
select at, topic, enrollment_id, channel, parent_id, udid, user_enrollment_id, status, command_uuid, raw,
  case topic when 'mdm.TokenUpdate' then
    (select e.token_update_tally from enrollments e where e.id = g.enrollment_id) end
from given g cross join lock order by g.n
returning id`,
})

/** Writes down what devices have said, in the order given. */
export async function insertDeviceMessages(db: Db, messages: readonly NewDeviceMessage[]): Promise<void> {
  await insert.run(db, messages, {})
}
