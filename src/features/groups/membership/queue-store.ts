import { sql } from 'kysely'
import type { Tx } from '../../../db/index.ts'
import type { Actor } from '../../../kernel/act.ts'

/** Who made it so that devices are put into their groups anew. */
interface Maker {
  by: Actor | null
  via: string | null
}

/** Has these devices put into their groups anew, soon. */
export async function queueDevices(trx: Tx, ids: readonly string[], { by, via }: Maker): Promise<void> {
  if (ids.length === 0) return
  await sql`
    insert into devices_to_group (enrollment_id, by, via)
    select id, ${by && JSON.stringify(by)}::jsonb, ${via} from unnest(${ids}::text[]) as d (id)`.execute(trx)
}

/** The same, if a rule names the static group that the devices joined or left. */
export async function queueIfNamed(
  trx: Tx,
  groupId: string,
  ids: readonly string[],
  maker: Maker,
): Promise<void> {
  const { rows } = await sql`select from group_rule_groups where named_group_id = ${groupId} limit 1`.execute(
    trx,
  )
  if (rows.length > 0) await queueDevices(trx, ids, maker)
}

/** Takes the devices that have waited longest, of one maker, at most `limit`; undefined when there are none but those that others take. */
export async function takeQueued(trx: Tx, limit: number): Promise<({ ids: string[] } & Maker) | undefined> {
  const { rows } = await sql<{ id: string } & Maker>`
    with first as materialized (select by, via from devices_to_group order by seq limit 1)
    delete from devices_to_group where ctid = any(array(
      select q.ctid from devices_to_group q, first f
      where q.by is not distinct from f.by and q.via is not distinct from f.via
      order by q.seq limit ${limit} for update of q skip locked))
    returning enrollment_id as id, by, via`.execute(trx)
  const [first] = rows
  return first && { ids: [...new Set(rows.map(({ id }) => id))], by: first.by, via: first.via }
}
