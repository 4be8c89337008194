import type { Push } from './channel.ts'

/** Where pushes come from: the fake APNs, or part of it. */
export interface PushSource {
  onPush(listener: (token: string, magic: string) => void): void
  /** The last one is the one that the listener is told of. */
  readonly pushes?: readonly { topic: string }[]
}

/** Brings the pushes of a fake APNs to phones. */
export type PushDelivery = ReturnType<typeof deliverPushes>

/** Listens to a fake APNs on behalf of many phones. */
export function deliverPushes(apns: PushSource) {
  const receivers = new Map<string, (push: Push) => void>()
  let strays = 0
  apns.onPush((token, magic) => {
    const receive = receivers.get(token)
    if (receive === undefined) strays += 1
    else receive({ token, magic, topic: apns.pushes?.at(-1)?.topic })
  })
  return {
    /** From now on, pushes to this token (lower-case hex) go there. */
    register: (token: string, receive: (push: Push) => void) => void receivers.set(token, receive),
    /** How many pushes went to tokens that nobody ever gave. */
    strays: () => strays,
  }
}
