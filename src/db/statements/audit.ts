import { sql } from 'kysely'
import type { Act } from '../../kernel/act.ts'
import { newId } from '../../kernel/ids.ts'
import { afterCommit, type Tx } from '../transaction.ts'
import { jsonText } from '../values.ts'

/**
 * Notes with a change, for the audit trail, who asked for it: of the facts that it makes, those that a person or a token asked for
 * in a request of theirs. What the answer adds comes later.
 */
export async function noteActs(
  trx: Tx,
  facts: readonly { type: string; act?: Act }[],
  at: Date,
): Promise<void> {
  const entries = new Map<string, { act: Act; types: string[] }>()
  for (const { type, act } of facts) {
    if (!act?.by || act.request_id === undefined) continue
    const key = act.asked?.entry ?? act.request_id
    const known = entries.get(key)
    if (known === undefined) entries.set(key, { act, types: [type] })
    else if (!known.types.includes(type)) known.types.push(type)
  }
  if (entries.size === 0) return
  const rows = [...entries.values()].map(({ act, types }) => ({
    entry: act.asked?.entry ?? newId(at),
    // A page is asked nothing more about.
    is_complete: act.asked === undefined,
    content: contentOf(act, types),
  }))
  await sql`
    insert into audit_outbox (entry, at, is_complete, content)
    select entry, ${at}::timestamptz, is_complete, content
    from json_to_recordset(${jsonText(rows)}::json) as e (entry text, is_complete boolean, content jsonb)
    on conflict (entry) do update set content = jsonb_set(audit_outbox.content, '{events}',
      coalesce(audit_outbox.content -> 'events', '[]') || (excluded.content -> 'events'))`.execute(trx)
  afterCommit(trx, () => {
    for (const { act } of entries.values()) if (act.asked) act.asked.isNoted = true
  })
}

function contentOf({ by, via, request_id, asked }: Act, events: readonly string[]) {
  const { address = null, action = events[0], object = null, before = null } = asked ?? {}
  return { actor: by, via, action, object, before, address, request_id, outcome: 'done', events }
}
