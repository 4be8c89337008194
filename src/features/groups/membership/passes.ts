import type { Db, Tx } from '../../../db/index.ts'
import { copyLastSeen } from '../../../db/statements/device-facts.ts'
import { actAsTold } from '../../../kernel/act.ts'
import { justBefore, parseAge, timeAgo } from '../rules/times.ts'
import { lockFacts, nextDevices } from './facts-store.ts'
import { holdRules, settle } from './members-store.ts'
import * as store from './rules-store.ts'
import type { RegroupDeps } from './regroup.ts'
import { tellChanges } from './tell.ts'

/** Devices over which a group is evaluated in one transaction. */
const BATCH = 2_000
/** Devices that are looked at in one transaction because time has passed. */
const TIME_BATCH = 500

type Deps = RegroupDeps & { db: Db }

/** Evaluates a group whose rule was set over some more devices, `id` or whichever; false when there is none to evaluate. */
export function evaluateSome(deps: Deps, id: string | null): Promise<boolean> {
  return deps.db.transaction(async (trx) => {
    await holdRules(trx)
    const group = await store.unevaluatedGroup(trx, id)
    if (group === undefined) return false
    const ids = await nextDevices(trx, group.evaluated_to, BATCH)
    await lockFacts(trx, ids)
    const isLast = ids.length < BATCH
    if (!(await store.noteEvaluated(trx, group, isLast ? null : (ids.at(-1) ?? null)))) return true
    const { rule_set_by: by, rule_set_via: via } = group
    await evaluate(trx, deps, group, ids, { because: 'rule', act: actAsTold({ by, via }) })
    return true
  })
}

/** Looks at the devices of which time alone may have changed the groups. */
export async function followTime(deps: Deps): Promise<void> {
  const { db, clock } = deps
  for (const time of await store.movingTimes(db.kysely)) {
    const span = spanOf(time, time.done_to, clock.now())
    const [due] = await store.devicesWithin(db.kysely, time.fact, span, 1)
    while (due !== undefined && (await moveOn(deps, time)));
  }
}

/** Evaluates a group over the devices that a time of its rule has passed; whether there are more. */
function moveOn(deps: Deps, time: store.MovingTime): Promise<boolean> {
  const { db, clock } = deps
  return db.transaction(async (trx) => {
    await holdRules(trx)
    const before = await store.claimTime(trx, time)
    if (before === undefined) return false
    const span = spanOf(time, before, clock.now())
    const due = await store.devicesWithin(trx, time.fact, span, TIME_BATCH)
    const ids = due.map(({ id }) => id)
    await lockFacts(trx, ids)
    const last = due.length < TIME_BATCH ? undefined : due.at(-1)?.at
    const hasMore = last !== undefined && last > span.after && last < span.to
    await store.noteTime(trx, time, hasMore ? last : span.isBack ? span.after : justBefore(span.to))
    await evaluate(trx, deps, time, ids, { because: 'time' })
    return hasMore
  })
}

async function evaluate(
  trx: Tx,
  { clock, events }: RegroupDeps,
  group: store.RuledGroup,
  ids: readonly string[],
  cause: Parameters<typeof tellChanges>[3],
): Promise<void> {
  if (ids.length === 0) return
  if (store.looksAtSeen(group.rule)) await copyLastSeen(trx, ids)
  const now = clock.now()
  const changes = await settle(trx, store.ruleResults([group], ids, now), now)
  await tellChanges(trx, events, changes, cause)
}

/**
 * From where a time of a rule was to where it is now, or back where a clock was put back. What has just that time is looked at once
 * more later, as it changes after that.
 */
function spanOf({ value }: store.MovingTime, before: Date, now: Date): store.Span {
  const age = parseAge(value)
  const boundary = age === undefined ? now : timeAgo(age, now)
  return boundary >= before
    ? { after: before, to: boundary, isBack: false }
    : { after: justBefore(boundary), to: before, isBack: true }
}
