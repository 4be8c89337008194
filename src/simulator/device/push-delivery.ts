import type { Push } from './channel.ts'

/** Where pushes come from: the fake APNs, or part of it. */
export interface PushSource {
  onPush(listener: (token: string, magic: string) => void): void
  /** The last one is the one that the listener is told of. */
  readonly pushes?: readonly { topic: string }[]
}

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
