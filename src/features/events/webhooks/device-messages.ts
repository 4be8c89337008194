import { createGroupCommit, type Db } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { insertDeviceMessages, type NewDeviceMessage } from '../../../db/statements/device-messages.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { areMessagesWanted, deleteMessages } from './messages-store.ts'

/** Of one statement. */
const MOST_AT_ONCE = 50
/** For as long as a receiver may be away, and a day to look at what was given up. */
const KEPT_DAYS = 4

/** What a device says, and through which of its channels. */
interface Said {
  /** The MessageType of a check-in; `Connect` for what comes to the command endpoint. */
  kind: string
  identity: {
    id: string
    type: NewDeviceMessage['channel']
    deviceId: string
    udid?: string
    enrollmentId?: string
  }
  status?: string
  commandUuid?: string | undefined
  body: Uint8Array
}

/** What devices say, kept for webhooks in the shape of NanoMDM. */
export type DeviceMessages = ReturnType<typeof createDeviceMessages>

/** Keeps what devices say, sealed, while there is a webhook in the shape of NanoMDM; otherwise that costs nothing. */
export function createDeviceMessages(deps: { db: Db; clock: Clock; secretBox: SecretBox }) {
  const { db, clock, secretBox } = deps
  let isWanted = false
  const batches = createGroupCommit<NewDeviceMessage, void>({
    key: ({ enrollment_id }) => enrollment_id,
    run: async (messages) => {
      await insertDeviceMessages(db, messages)
      return messages.map(() => undefined)
    },
    maxBatch: MOST_AT_ONCE,
  })

  return {
    /** Whether messages are to be recorded, as this process knows it. */
    isWanted: () => isWanted,
    /** Finds that out; called again and again, as another process may have made the webhook. */
    async look(): Promise<void> {
      isWanted = await areMessagesWanted(db.kysely)
    },
    /** Writes down a message before it is answered: one that is not is sent again. */
    record({ kind, identity, status, commandUuid, body }: Said): Promise<void> {
      const { id, type, deviceId, udid, enrollmentId } = identity
      return batches.submit({
        ...{ at: clock.now(), topic: `mdm.${kind}`, enrollment_id: id, channel: type },
        ...{ parent_id: id === deviceId ? null : deviceId, udid: udid ?? null },
        ...{ user_enrollment_id: enrollmentId ?? null, status: status ?? null },
        command_uuid: commandUuid ?? null,
        raw: secretBox.seal(body, SEALED_FOR.deviceMessage(id)),
      })
    },
    /** Deletes what is old. */
    expire: () => deleteMessages(db.kysely, addTime(clock.now(), -KEPT_DAYS, 'day')),
    idle: batches.idle,
  }
}
