import type { PlistDict } from '../../protocol/plist/index.ts'
import { HEX_DIGITS, type Random } from '../random.ts'
import type { ChannelKind } from './commands/channel-kinds.ts'
import { createLedger, type Ledger } from './commands/ledger.ts'
import type { InstalledProfiles } from './profiles/installed.ts'

/** A push as it arrives at a device. `token` in lower-case hex; `topic` is checked when it is known. */
export interface Push {
  token: string
  topic: string | undefined
  magic: string
}

/** One queue of a device: the device's own, or a user's. */
export interface Channel {
  readonly kind: ChannelKind
  /** The keys that identify it in every message. */
  readonly ids: PlistDict
  readonly ledger: Ledger
  readonly profiles: InstalledProfiles
  /** Its present push token and magic; undefined before the first TokenUpdate. */
  push: { token: Buffer<ArrayBuffer>; magic: string } | undefined
  /** Whether the server took the present token. */
  confirmed: boolean
  /** Tokens it had before, in hex, and since when the server knows; undefined when it was not told yet. */
  readonly retired: Map<string, Date | undefined>
}

const TOKEN_BYTES = 32

/** A channel that has not said anything yet. */
export function createChannel(kind: ChannelKind, ids: PlistDict): Channel {
  return {
    kind,
    ids,
    ledger: createLedger(),
    profiles: new Map(),
    push: undefined,
    confirmed: false,
    retired: new Map(),
  }
}

/** Gives a channel a new token and magic, as iOS does now and then. */
export function renewPush(channel: Channel, random: Random): NonNullable<Channel['push']> {
  retirePush(channel)
  const magic = [8, 4, 4, 4, 12].map((length) => random.text(length, HEX_DIGITS)).join('-')
  return (channel.push = { token: random.bytes(TOKEN_BYTES), magic })
}

/** Takes the token away; the server may not know yet. */
export function retirePush(channel: Channel): void {
  if (channel.push !== undefined) channel.retired.set(channel.push.token.toString('hex'), undefined)
  channel.push = undefined
  channel.confirmed = false
}

/** The server has just learnt that the retired tokens are good for nothing. */
export function tellRetired(channel: Channel, now: Date): void {
  for (const [token, since] of channel.retired) channel.retired.set(token, since ?? now)
}
