import { sql } from 'kysely'
import { STATE } from './devices/store.ts'
import type { Queries } from '../../db/index.ts'

/** How many serial numbers are in each state, and how many of those that have a policy, or had one, in each of assignment. */
export async function countDevices(
  db: Queries,
): Promise<{ states: Map<string, number>; assignments: Map<string, number> }> {
  const { rows } = await sql<{ state: string; assignment: string | null; count: number }>`
    select ${STATE} as state, d.assignment_state as assignment, count(*) as count
    from ade_devices d group by 1, 2`.execute(db)
  const states = new Map<string, number>()
  const assignments = new Map<string, number>()
  for (const { state, assignment, count } of rows) {
    states.set(state, (states.get(state) ?? 0) + count)
    if (assignment !== null) assignments.set(assignment, (assignments.get(assignment) ?? 0) + count)
  }
  return { states, assignments }
}

/** When each server that has a token was last synced; where it never was, when its token came. */
export async function lastSyncs(db: Queries): Promise<{ name: string; expires_at: Date | null; at: Date }[]> {
  const { rows } = await sql<{ name: string; expires_at: Date | null; at: Date }>`
    select s.name, s.token_expires_at as expires_at, coalesce((
      select y.finished_at from ade_syncs y where y.ade_server_id = s.id and y.state = 'succeeded'
      order by y.id desc limit 1), s.token_stored_at, s.created_at) as at
    from ade_servers s where s.token is not null order by s.id`.execute(db)
  return rows
}
