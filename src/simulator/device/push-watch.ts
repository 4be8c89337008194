import type { ReportViolation } from '../wire/violations.ts'
import type { Channel, Push } from './channel.ts'
import type { PushSituation } from './state.ts'

/** A push that was under way when the device changed its mind is nobody's fault. */
const UNDER_WAY_MS = 5_000

/**
 * Judges a push and says which channel it wakes; undefined when it wakes none. A token that the server knows to be
 * good for nothing, a wrong topic or a wrong magic are its fault.
 */
export function judgePush(
  push: Push,
  situation: PushSituation,
  report: ReportViolation,
): Channel | undefined {
  const { channels, topic } = situation
  const current = channels.find((channel) => channel.push?.token.toString('hex') === push.token)
  if (current === undefined) return judgeRetired(push.token, situation, report)
  if (push.topic !== undefined && push.topic !== topic) {
    report('push_wrong_topic', `a push with topic ${push.topic}`)
    return undefined
  }
  if (push.magic !== current.push?.magic) {
    report('push_wrong_magic', 'a push with another magic than that of the last TokenUpdate')
    return undefined
  }
  return current
}

function judgeRetired(token: string, situation: PushSituation, report: ReportViolation): Channel | undefined {
  const { channels, removed, now } = situation
  const channel = channels.find(({ retired }) => retired.has(token))
  if (channel === undefined) {
    report('push_unknown_token', 'a push to a token that was never given')
    return undefined
  }
  const since = channel.retired.get(token)
  // The server was not told yet, so Apple still delivers it.
  if (since === undefined) return channel.push === undefined ? undefined : channel
  if (now.getTime() - since.getTime() <= UNDER_WAY_MS) return undefined
  const awaited = !channel.confirmed ? 'push_before_token' : 'push_unknown_token'
  report(removed ? 'push_after_check_out' : awaited, `a push to a token given up at ${since.toISOString()}`)
  return undefined
}
