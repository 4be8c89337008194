import type { ColumnType, Generated } from 'kysely'
import type { Actor } from '../../kernel/act.ts'

type Json<T> = ColumnType<T | null, string | null, string | null>

/** A set of devices: static, or dynamic, which is by rule or the devices of a policy. */
export interface GroupsTable {
  id: string
  name: string
  kind: 'static' | 'dynamic'
  policy_id: string | null
  /** As it was given, checked. */
  rule: Json<Record<string, unknown>>
  /** Who set the rule, and by what way; null with `rule_set_via`: the server itself. */
  rule_set_by: Json<Actor>
  rule_set_via: string | null
  /** Up to which device the group was evaluated since its rule was set; null: all of them. */
  evaluated_to: string | null
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** The static groups that rules name. */
interface GroupRuleGroupsTable {
  group_id: string
  named_group_id: string
}

/** The times with which rules compare, of conditions whose answer changes by itself. */
interface GroupRuleTimesTable {
  group_id: string
  fact: 'enrolled_at' | 'last_seen_at'
  /** As the rule has it. */
  value: string
  /** Of one that moves with time: how long ago at least. */
  least_seconds: number | null
  at: Date | null
  /** Of one that moves: up to what time devices were looked at. */
  done_to: Date | null
}

/** A member of a group, of whatever kind, or a device of which that is unknown; a static group has members alone. */
interface GroupMembersTable {
  group_id: string
  enrollment_id: string
  added_at: Date
  is_member: Generated<boolean>
  /** The rule asks for a fact that the device has not told since it enrolled; `is_member` stays what it was. */
  is_unknown: Generated<boolean>
}

/** What rules may ask of a live device. Null: not told since it enrolled, or that there is none; '' or {}: told, but no such thing. */
export interface DeviceFactsTable {
  enrollment_id: string
  authenticated_at: Date | null
  policy_id: string | null
  policy_name: string | null
  user_id: string | null
  user_name: string | null
  user_name_key: string | null
  serial_number: string | null
  udid: string | null
  device_name: string | null
  product_name: string | null
  model_name: string | null
  platform: string | null
  os_version: string | null
  os_version_parts: number[] | null
  build_version: string | null
  build_version_parts: number[] | null
  supervised: boolean | null
  enrollment_type: string | null
  way: string | null
  ade_server_id: string | null
  enrolled_at: Date | null
  /** As of when the device was last put into its groups. */
  last_seen_at: Date | null
  /** The last `device.enrolled` that was answered by a `device.grouped`. */
  grouped_at_event: Generated<number>
}

/** Devices that are to be put into their groups anew, and who made that so. */
interface DevicesToGroupTable {
  seq: Generated<number>
  enrollment_id: string
  by: Json<Actor>
  via: string | null
}

export interface GroupsTables {
  groups: GroupsTable
  group_members: GroupMembersTable
  group_rule_groups: GroupRuleGroupsTable
  group_rule_times: GroupRuleTimesTable
  device_facts: DeviceFactsTable
  devices_to_group: DevicesToGroupTable
}
