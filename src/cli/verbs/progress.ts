import type { ApiClient } from '../client.ts'
import type { Verb } from '../verb.ts'

const OVER = new Set(['acknowledged', 'error', 'format_error', 'expired', 'cancelled'])

/** Until every device has answered the command that was sent. */
export const untilAnswered: NonNullable<Verb['progress']> = async ({ answer }, api: ApiClient) => {
  const { uuid, command_uuid: ofAct } = answer as { uuid?: string | null; command_uuid?: string }
  const sent = ofAct ?? uuid
  // Nothing was queued by a dry run.
  if (typeof sent !== 'string') return { outcome: 'ok', answer }
  const now = (await api({ method: 'GET', path: `/commands/${sent}`, query: {} })) as {
    deliveries: { state: string }[]
  }
  const states = now.deliveries.map(({ state }) => state)
  const isOver = states.every((state) => OVER.has(state))
  const isWell = states.every((state) => state === 'acknowledged')
  return { outcome: isOver ? (isWell ? 'ok' : 'failed') : 'running', answer: now }
}

/** Until nothing of the change that was made is on its way any more. */
export const untilChanged: NonNullable<Verb['progress']> = async ({ answer }, api: ApiClient) => {
  const { change_id: written, id } = answer as { change_id?: string; id?: string }
  const change = written ?? id
  // A dry run changes nothing.
  if (change === undefined) return { outcome: 'ok', answer }
  const path = `/changes/${encodeURIComponent(change)}`
  const now = (await api({ method: 'GET', path, query: {} })) as { state: string }
  const ended = now.state === 'finished' ? 'ok' : 'failed'
  return { outcome: now.state === 'running' ? 'running' : ended, answer: now }
}
