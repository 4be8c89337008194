import { isDeepStrictEqual } from 'node:util'
import { type Db, type Tx, isUniqueViolation } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import type { Devices } from '../devices/index.ts'
import type { Log } from '../../kernel/log.ts'
import type { Events } from '../events/index.ts'
import type { Governor } from '../governor/index.ts'
import { createDeviceGroups } from './device-groups.ts'
import { createMembers } from './members.ts'
import { createMembership, lockRules, preview } from './membership/index.ts'
import { createForetelling } from './foretelling.ts'
import type { Rule } from './rules/rule.ts'
import { createRemoval } from './remove.ts'
import { createReading, missing } from './reading.ts'
import { checkNamed, ruleIn, ruleInvalid, setRule } from './set-rule.ts'
import { createPolicyGroups, isPolicyGroupName } from './policy-groups.ts'
import { type Group, holdGroup, insertGroup, lockGroup, updateGroup } from './store.ts'
import type { GroupView } from './types.ts'

/** Devices that a preview names. */
const MAX_PREVIEWED = 100

/** What makes a group: by rule if there is one. */
interface NewGroup {
  name: string
  kind?: Group['kind']
  rule?: unknown
}

/** What is to change of a group. */
interface GroupPatch {
  name?: string
  rule?: unknown
}

/** What the groups are made of. */
type GroupsDeps = {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  governor: Pick<Governor, 'ask' | 'carriesOut'>
  log: Log
  devices: Pick<Devices, 'findDeviceNames' | 'findEnrollment'>
}

/** Sets of devices. */
export type Groups = ReturnType<typeof createGroups>

/** The groups, static ones and those of policies; every change is told as an event. */
export function createGroups(deps: GroupsDeps) {
  const { db, clock, events } = deps
  const membership = createMembership(deps)
  const { view, ...reading } = createReading(deps)

  async function create({ name, kind, rule }: NewGroup, act: Act): Promise<GroupView> {
    checkName(name)
    if (rule === undefined && kind === 'dynamic')
      throw ruleInvalid([{ pointer: '/rule', detail: 'It is missing.' }])
    if (rule !== undefined && kind === 'static') throw hasNone()
    const checked = rule === undefined ? null : ruleIn(rule)
    const now = clock.now()
    const group = await db.transaction(async (trx) => {
      const id = newId(now)
      const made = {
        id,
        name,
        kind: checked === null ? 'static' : 'dynamic',
        policy_id: null,
        rule: checked,
      } as const
      const added = await insertGroup(trx, made, now)
      if (added === undefined) throw taken()
      if (checked !== null) await setRule(trx, id, checked, act, now)
      await events.emit(trx, { type: 'group.created', act, data: about(added) })
      return added
    })
    if (checked !== null) await membership.evaluate(group.id)
    return view(group)
  }

  async function update(id: string, patch: GroupPatch, act: Act): Promise<GroupView> {
    const rule = patch.rule === undefined ? undefined : ruleIn(patch.rule)
    try {
      const group = await db.transaction((trx) => change(trx, id, { name: patch.name, rule }, act))
      if (rule !== undefined) await membership.evaluate(id)
      return await view(group)
    } catch (error) {
      throw isUniqueViolation(error) ? taken() : error
    }
  }

  async function change(
    trx: Tx,
    id: string,
    wanted: { name: string | undefined; rule: Rule | undefined },
    act: Act,
  ): Promise<Group> {
    if (wanted.rule !== undefined) await lockRules(trx)
    const before = checkOwn(await lockGroup(trx, id), act)
    const { name = before.name, rule } = wanted
    if (rule !== undefined && before.kind === 'static') throw hasNone()
    const isRuleNew = rule !== undefined && !isDeepStrictEqual(rule, before.rule)
    if (name === before.name && !isRuleNew) return before
    if (name !== before.name) checkName(name)
    if (isRuleNew) await setRule(trx, id, rule, act, clock.now())
    const after = await updateGroup(trx, id, { name }, clock.now())
    const changed = [...(name === before.name ? [] : ['name']), ...(isRuleNew ? ['rule'] : [])]
    await events.emit(trx, { type: 'group.updated', act, data: { ...about(after), changed } })
    return after
  }

  async function lockStatic(trx: Tx, id: string, act: Act): Promise<Group> {
    return checkStatic(await lockGroup(trx, id), act)
  }

  return {
    ...createPolicyGroups(deps),
    ...createMembers({ ...deps, lockStatic, missing, wake: membership.wake }),
    ...createDeviceGroups(deps),
    ...createForetelling(deps),
    membership,
    /** Has the groups of a device follow what it told of itself, as part of the change. */
    noteTold: membership.noteTold,
    ...reading,
    create,
    update,
    remove: createRemoval({ ...deps, checkOwn }),
    /** Who would be in a group of this rule. Throws AppError `rule_invalid`. */
    async preview(rule: unknown): Promise<{ count: number; device_ids: string[] }> {
      const checked = ruleIn(rule)
      await db.transaction((trx) => checkNamed(trx, checked))
      return preview(db, checked, clock.now(), MAX_PREVIEWED)
    },
    /** The group with this id, if there is one, kept from being deleted until the transaction ends. */
    hold: (trx: Tx, id: string): Promise<Group | undefined> => holdGroup(trx, id),
  }
}

/** What an event says of a group. */
function about({ id, name }: Group) {
  return { group_id: id, name }
}

function checkStatic(group: Group | undefined, act: Act): Group {
  const own = checkOwn(group, act)
  if (own.kind === 'static') return own
  throw new AppError('conflict', 'The members of this group follow from its rule; change the rule instead.')
}

function checkOwn(group: Group | undefined, act: Act): Group {
  if (group === undefined) return missing()
  act.checkVersion(group.version)
  if (group.policy_id === null) return group
  throw new AppError('conflict', 'This group belongs to its enrollment policy; change the policy instead.')
}

function checkName(name: string): void {
  if (!isPolicyGroupName(name)) return
  const field = { path: 'name', message: 'begins as only the names of policy groups do' }
  throw new AppError('invalid_request', `The field ${field.path} ${field.message}.`, { fields: [field] })
}

function hasNone(): AppError {
  return ruleInvalid([{ pointer: '/rule', detail: 'A static group has no rule.' }])
}

function taken(): AppError {
  return new AppError('conflict', 'There is a group with this name already.', {
    fields: [{ path: 'name', message: 'is taken' }],
  })
}
