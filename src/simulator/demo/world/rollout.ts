import type { DemoApi } from './api.ts'
import { BAD_RESTRICTIONS, PROFILE_TYPE, RESTRICTIONS } from './profiles.ts'
import type { Actor, World } from './stage.ts'

/** What came of the rollout. */
export interface RolloutPlayed {
  /** Phones of the first ring, with which the revision has failed. */
  failed: readonly number[]
  /** What the server counted when it halted; undefined: it did not. */
  halted: string | undefined
  /** All phones have the former revision again. */
  isRolledBack: boolean
}

const PILOTS = 4
const PATIENCE_SECONDS = 120
const RULE = { all: [{ fact: 'platform', op: 'eq', value: 'ios' }] }

/** A revision with a mistake goes to a few phones first, and no further. */
export async function playRollout(
  { api }: Pick<World, 'api'>,
  actors: readonly Actor[],
  tell: (text: string) => void,
): Promise<RolloutPlayed> {
  const enrolled = actors.filter(({ phone }) => phone.device.status() === 'enrolled')
  const pilots = enrolled.slice(0, PILOTS)
  const everyone = await groupByRule(api, enrolled.length)
  const pilotGroup = await groupOf(api, pilots)
  const profile = await api.call('POST', '/profiles?name=Restrictions', RESTRICTIONS, PROFILE_TYPE)
  const items = [{ kind: 'profile', id: profile.id }]
  await api.call('PUT', `/groups/${everyone.id}/contents`, { items })
  const hasAll = ({ counts }: { counts: Record<string, number> }) =>
    counts['installed'] === everyone.count && Object.keys(counts).length === 1
  const status = `/profiles/${profile.id}/status`
  await api.until(status, hasAll, PATIENCE_SECONDS)
  tell(`A group by a rule (platform is ios) brings Restrictions to ${everyone.count} phones: installed.`)
  const next = await api.call('PUT', `/profiles/${profile.id}?rollout=true`, BAD_RESTRICTIONS, PROFILE_TYPE)
  tell(
    `Revision ${next.revision} has a mistake. The upload warns: ${next.warnings[0]?.message ?? 'of nothing'}`,
  )
  const rings = [{ group_id: pilotGroup }, { percent: 100 }]
  const rollout = await api.call('POST', '/rollouts', { kind: 'profile', id: profile.id, rings })
  tell(`It is released all the same, in rings: ${pilots.length} phones first, then the others.`)
  const at = `/rollouts/${rollout.id}`
  const { reason, rings: counted } = await api.until(at, ({ state }) => state === 'halted', PATIENCE_SECONDS)
  const [first, others] = counted
  const halted = `${first.failed} of ${first.devices} phones of ring one failed, ${others.installed + others.failed} others were touched`
  tell(`The rollout halts by itself (${reason}): ${halted}.`)
  await api.call('POST', `${at}/roll-back`)
  await api.until(status, hasAll, PATIENCE_SECONDS)
  tell(`Rolled back: ${everyone.count} phones have revision 1.`)
  return { failed: pilots.map(({ number }) => number), halted, isRolledBack: true }
}

/** A group of all phones that are enrolled; a phone is a member once it has told what it is. */
async function groupByRule(api: DemoApi, count: number): Promise<{ id: string; count: number }> {
  const { id } = await api.call('POST', '/groups', { name: 'Every iPhone', kind: 'dynamic', rule: RULE })
  await api.until(`/groups/${id}`, ({ member_count: members }) => members === count, PATIENCE_SECONDS)
  return { id, count }
}

async function groupOf(api: DemoApi, actors: readonly Actor[]): Promise<string> {
  const { id } = await api.call('POST', '/groups', { name: 'Pilots', kind: 'static' })
  const device_ids = actors.map(({ phone }) => phone.facts.udid)
  await api.call('POST', `/groups/${id}/members`, { device_ids })
  return id
}
