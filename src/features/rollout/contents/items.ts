import type { Act } from '../../../kernel/act.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'

/** An entry that brings a thing, or keeps it away. */
export interface ThingItem {
  groupId: string
  groupAge: number
  place: number
  kind: 'profile' | 'app'
  id: string
  critical: boolean
  precedence: number
  exclude: boolean
  addedSeq: number
}

/** An entry that gives whoever joins a command. */
export interface CommandItem {
  id: string
  groupId: string
  requestType: string
  command: PlistDict
  addedAt: Date
  /** Who put it there. */
  act: Act
}

/** An entry as somebody wants it. */
export type WantedItem =
  | { kind: 'profile' | 'app'; id: string; critical?: boolean; precedence?: number; exclude?: boolean }
  | { kind: 'command'; request_type: string; command?: Record<string, unknown> }
