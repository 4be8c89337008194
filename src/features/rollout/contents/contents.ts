import type { Db, Queries } from '../../../db/index.ts'
import { actAsTold, type Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/ids.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { fromJson, markDataKeys } from '../../../protocol/mdm/index.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { Events } from '../../events/index.ts'
import type { Groups } from '../../groups/index.ts'
import { contentsOf } from '../../../db/statements/delivery-facts.ts'
import { needOfGroup } from '../../../db/statements/delivery-needs.ts'
import { checkItems, refuseHidden } from './check.ts'
import type { CommandItem, ThingItem, WantedItem } from './items.ts'
import { createRows } from './rows.ts'
import * as store from './store.ts'

/** What a group delivers, as it is told. */
interface ContentsView {
  items: WantedItem[]
  version: number
}

/** What groups deliver. */
export type Contents = ReturnType<typeof createContents>

/** The contents of groups; every change is told as an event, and followed by deliveries. */
export function createContents(deps: {
  db: Db
  clock: Clock
  secretBox: SecretBox
  events: Pick<Events, 'emit'>
  groups: Pick<Groups, 'get' | 'touch'>
}) {
  const { db, clock, events, groups } = deps
  const rows = createRows(deps)

  function put(groupId: string, items: readonly WantedItem[], act: Act) {
    return db.transaction(async (trx) => {
      const group = await groups.touch(trx, groupId, act)
      const warnings = await checkItems(trx, items)
      const before = await store.findContents(trx, groupId)
      const kept = items.map((item) => before.find((row) => rows.isSame(row, item)))
      refuseHidden(items, (at) => kept[at] === undefined)
      const gone = before.filter((row) => !kept.includes(row))
      await store.deleteContents(
        trx,
        gone.map(({ id }) => id),
      )
      for (const [place, item] of items.entries())
        await store.saveContents(trx, rows.toRow(item, { groupId, place, before: kept[place], act }))
      const changeId = newId(clock.now())
      const about = { id: changeId, group_id: groupId, kind: null, thing_id: null }
      await store.insertChange(trx, { ...about, devices: group.member_count, created_at: clock.now() })
      // Asked for here, so that how far the change has come can be told from its first moment on.
      await needOfGroup(trx, groupId, { changeId, now: clock.now() })
      const added = kept.filter((row) => row === undefined).length
      await events.emit(trx, {
        type: 'group.contents_changed',
        act,
        data: { group_id: groupId, name: group.name, change_id: changeId, added, removed: gone.length },
      })
      return { items: await itemsOf(trx, groupId), version: group.version, change_id: changeId, warnings }
    })
  }

  async function itemsOf(executor: Queries, groupId: string): Promise<WantedItem[]> {
    return (await store.findContents(executor, groupId)).map(rows.toItem)
  }

  return {
    put,
    /** Throws AppError `not_found`. */
    async get(groupId: string): Promise<ContentsView> {
      const { version } = await groups.get(groupId)
      return { items: await itemsOf(db.kysely, groupId), version }
    },
    /** What these groups bring, or keep away. */
    async items(executor: Queries, groupIds: readonly string[]): Promise<ThingItem[]> {
      return (await contentsOf(executor, groupIds)).flatMap((row) => {
        if (row.kind === 'command' || row.thing_id === null) return []
        const { kind, thing_id: id, place, critical, precedence, exclude } = row
        const group = { groupId: row.group_id, groupAge: row.group_created_at.getTime() }
        return { ...group, kind, id, place, critical, precedence, exclude, addedSeq: row.added_seq }
      })
    },
    /** The commands that these groups give whoever joins. */
    async commandItems(executor: Queries, groupIds: readonly string[]): Promise<CommandItem[]> {
      return (await contentsOf(executor, groupIds)).flatMap((row) => {
        const { id, kind, group_id: groupId, request_type: requestType, added_at: addedAt } = row
        const { put_by: by, put_via: via, put_makers: makers } = row
        if (kind !== 'command' || requestType === null) return []
        return {
          id,
          groupId,
          requestType,
          command: fromJson(markDataKeys(requestType, rows.open(row))) as PlistDict,
          addedAt,
          act: { ...actAsTold({ by, via }), makers },
        }
      })
    },
  }
}
