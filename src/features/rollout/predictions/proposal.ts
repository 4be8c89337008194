import type { Db } from '../../../db/index.ts'
import type { Groups } from '../../groups/index.ts'
import type { Contents } from '../contents/contents.ts'
import type { ThingItem, WantedItem } from '../contents/items.ts'
import { keyOf } from '../deliveries/desire.ts'

/** Contents of groups, as they are or as somebody thinks of them. */
export function createProposals({
  db,
  contents,
  groups,
}: {
  db: Db
  contents: Pick<Contents, 'items'>
  groups: Pick<Groups, 'get'>
}) {
  /** The items of these groups, with those of one group in their place that somebody thinks of. */
  async function itemsWith(
    groupIds: readonly string[],
    proposal: { group_id: string; items: readonly WantedItem[] } | undefined,
  ): Promise<ThingItem[]> {
    const others = groupIds.filter((id) => id !== proposal?.group_id)
    const items = await contents.items(db.kysely, others)
    return proposal === undefined || !groupIds.includes(proposal.group_id)
      ? items
      : [...items, ...(await proposed(proposal))]
  }

  async function proposed({
    group_id,
    items,
  }: {
    group_id: string
    items: readonly WantedItem[]
  }): Promise<ThingItem[]> {
    const { created_at } = await groups.get(group_id)
    const before = new Map(
      (await contents.items(db.kysely, [group_id])).map((item) => [keyOf(item.kind, item.id), item.addedSeq]),
    )
    return items.flatMap((item, place) => {
      if (item.kind === 'command') return []
      const { kind, id, critical = false, precedence = 0, exclude = false } = item
      // What is added now is added last.
      const addedSeq = before.get(keyOf(kind, id)) ?? Number.MAX_SAFE_INTEGER - items.length + place
      return {
        groupId: group_id,
        groupAge: created_at.getTime(),
        place,
        kind,
        id,
        critical,
        precedence,
        exclude,
        addedSeq,
      }
    })
  }

  return itemsWith
}
