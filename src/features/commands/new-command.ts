import type { Part } from '../../protocol/mdm/index.ts'
import type { GovernedAct } from '../governor/index.ts'
import type { PRIORITIES } from './priorities.ts'
import type { Command } from './store.ts'

/** A command about to be queued; `body` is the whole plist as it goes over the wire. */
export interface NewCommand {
  uuid: string
  requestType: string
  body: Buffer
  /** Enrollment ids; each must be live. */
  targets: readonly string[]
  priority?: keyof typeof PRIORITIES
  notBefore?: Date
  expiresAt?: Date
  /** Commands of our own that mean more than themselves when they are done. */
  purpose?: NonNullable<Command['purpose']>
  /** Sent to devices that it does not suit, too. */
  forced?: boolean
  /** What of it a device may have or not (`checkCommand`), to be looked at again before it is sent. */
  parts?: readonly Part[]
  /** NanoMDM's `nopush`: leave it to the device when it comes. */
  push?: boolean
  /** As which act it was counted. */
  governed?: GovernedAct
  /** Its targets are some of so many devices that something is queued for: their pushes are spread as if all were asked at once. */
  among?: number
}
