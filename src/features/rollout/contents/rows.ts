import { isDeepStrictEqual } from 'node:util'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/ids.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import {
  buildCommand,
  markDataKeys,
  parseCommand,
  redactCommand,
  toJson,
} from '../../../protocol/mdm/index.ts'
import type { WantedItem } from './items.ts'
import type { ContentsRow } from './store.ts'

/** Between entries as somebody writes them and as they are kept: the keys of commands may hold secrets, and are sealed. */
export function createRows({ clock, secretBox }: { clock: Clock; secretBox: SecretBox }) {
  function toRow(
    item: WantedItem,
    {
      groupId,
      place,
      before,
      act,
    }: { groupId: string; place: number; before: ContentsRow | undefined; act: Act },
  ) {
    const id = before?.id ?? newId(clock.now())
    const put = { put_by: act.by, put_via: act.via, put_makers: [...act.makers] }
    const base = { id, group_id: groupId, place, added_at: before?.added_at ?? clock.now(), ...put }
    if (item.kind !== 'command') {
      const { kind, id: thing_id, critical = false, precedence = 0, exclude = false } = item
      return { ...base, kind, thing_id, critical, precedence, exclude, request_type: null, command: null }
    }
    const text = Buffer.from(JSON.stringify(before === undefined ? (item.command ?? {}) : open(before)))
    const command = secretBox.seal(text, SEALED_FOR.contentsCommand(id))
    const none = { thing_id: null, critical: false, precedence: 0, exclude: false }
    return { ...base, ...none, kind: item.kind, request_type: item.request_type, command }
  }

  function isSame(row: ContentsRow, item: WantedItem): boolean {
    if (row.kind !== item.kind) return false
    if (item.kind !== 'command') return row.thing_id === item.id
    const { request_type: type, command = {} } = item
    if (row.request_type !== type) return false
    // As somebody reads it, it may be written again: what is hidden stays as it is.
    return isDeepStrictEqual(open(row), command) || isDeepStrictEqual(shown(type, open(row)), command)
  }

  function open({ id, command }: ContentsRow): Record<string, unknown> {
    if (command === null) return {}
    return JSON.parse(secretBox.open(command, SEALED_FOR.contentsCommand(id)).toString('utf8')) as Record<
      string,
      unknown
    >
  }

  /** An entry for people to look at, secrets hidden. */
  function toItem(row: ContentsRow): WantedItem {
    const { kind, critical, precedence, exclude } = row
    if (kind !== 'command') return { kind, id: row.thing_id ?? '', critical, precedence, exclude }
    const type = row.request_type ?? ''
    return { kind, request_type: type, command: shown(type, open(row)) }
  }

  return { toRow, toItem, isSame, open }
}

/** The keys of a command for people to look at, secrets hidden. */
function shown(type: string, fields: Record<string, unknown>): Record<string, unknown> {
  const body = redactCommand(buildCommand('shown', type, markDataKeys(type, fields)))
  const { RequestType: _, ...keys } = toJson(parseCommand(body).command) as Record<string, unknown>
  return keys
}
