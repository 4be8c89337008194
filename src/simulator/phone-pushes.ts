import type { Push } from './channel.ts'
import type { PushSource } from './fleet.ts'

/** Brings the pushes of a fake APNs to phones. */
export interface PushDelivery {
  /** From now on, pushes to this token (lower-case hex) go there. */
  register(token: string, receive: (push: Push) => void): void
  /** How many pushes went to tokens that nobody ever gave. */
  strays(): number
}

/** Listens to a fake APNs on behalf of many phones. */
export function deliverPushes(apns: PushSource): PushDelivery {
  const receivers = new Map<string, (push: Push) => void>()
  let strays = 0
  apns.onPush((token, magic) => {
    const receive = receivers.get(token)
    if (receive === undefined) strays += 1
    else receive({ token, magic, topic: apns.pushes?.at(-1)?.topic })
  })
  return { register: (token, receive) => void receivers.set(token, receive), strays: () => strays }
}
